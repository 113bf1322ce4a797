websocat "wss://api.openmail.sh/v1/ws?token=YOUR_API_KEY"
