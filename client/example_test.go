package client_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"openmail"
	"openmail/api"
	"openmail/client"
)

func Example() {
	c, err := client.New(client.Options{APIKey: os.Getenv("OPENMAIL_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	inbox, err := c.CreateInbox(context.Background(), api.InboxCreate{MailboxName: "support"})
	if openmail.CodeOf(err) == openmail.CodeAddressTaken {
		log.Fatal("somebody else is support already")
	}
	fmt.Println(inbox.Address)
}

func ExampleClient_Listen() {
	c, err := client.New(client.Options{APIKey: os.Getenv("OPENMAIL_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	options := client.ListenOptions{
		LastEventID: load(), // after a restart, go on where the last run stopped
		OnState:     func(s client.State) { log.Print(s) },
	}
	for event, err := range c.Listen(context.Background(), options) {
		if err != nil {
			log.Fatal(err) // another try would fail as well
		}
		fmt.Println(event.Message.From, event.Message.Subject)
		save(event.ResumeID)
	}
}

func ExampleClient_Messages() {
	c, err := client.New(client.Options{APIKey: os.Getenv("OPENMAIL_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	for message, err := range c.Messages(context.Background(), "inb_8f3a1b2c", client.MessageFilter{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(message.CreatedAt, message.Subject)
	}
}

func load() string { return "" }
func save(string)  {}
