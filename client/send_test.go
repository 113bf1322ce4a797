package client_test

import (
	"testing"

	"openmail"
	"openmail/api"
	"openmail/client"
)

func TestAMailIsSentOnceHoweverOftenItsKeyIs(t *testing.T) {
	server := startServer(t)
	c := clientOf(t, server, server.NewKey())
	ctx := t.Context()
	jane, err := c.CreateInbox(ctx, api.InboxCreate{MailboxName: "jane"})
	if err != nil {
		t.Fatal(err)
	}
	mail := api.SendRequest{To: jane.Address, Subject: "To myself", Body: "Remember."}
	first, err := c.Send(ctx, jane.ID, mail, "k")
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Send(ctx, jane.ID, mail, "k")
	if err != nil || again != first {
		t.Errorf("%+v, then %+v, %v", first, again, err)
	}
	mail.Body = "Forget."
	if _, err := c.Send(ctx, jane.ID, mail, "k"); openmail.CodeOf(err) != openmail.CodeIdempotency {
		t.Errorf("another mail: %v", err)
	}
	other, err := c.Send(ctx, jane.ID, mail, "")
	if err != nil || other.ID == first.ID {
		t.Errorf("without a key: %+v, %v", other, err)
	}
	list, err := c.MessagePage(ctx, jane.ID, client.MessageFilter{Direction: openmail.Outbound})
	if err != nil || list.Total != 2 {
		t.Errorf("%d messages, %v", list.Total, err)
	}
}
