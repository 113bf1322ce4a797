package mime_test

import (
	"strings"
	"testing"

	"openmail"
	"openmail/internal/mime"
)

func TestAMailSaysWhatKindItIsAndWhetherAProgramMayAnswer(t *testing.T) {
	const (
		report  = "Content-Type: multipart/report; report-type=%s; boundary=b\n"
		listed  = "List-Id: <talk.sender.example>\nList-Unsubscribe: <mailto:leave@sender.example>\n"
		fromAnn = "From: Ann <ann@sender.example>\n"
	)
	for header, want := range map[string]struct {
		category openmail.Category
		answer   bool
	}{
		fromAnn:                          {openmail.CategoryPersonal, true},
		fromAnn + "Auto-Submitted: no\n": {openmail.CategoryPersonal, true},
		fromAnn + "Auto-Submitted: NO (really)\n":                       {openmail.CategoryPersonal, true},
		fromAnn + "Precedence: first-class\n":                           {openmail.CategoryPersonal, true},
		fromAnn + "Auto-Submitted: auto-replied; owner-email=\"a@b\"\n": {openmail.CategoryAutomated, false},
		fromAnn + "auto-submitted:\n auto-generated\n":                  {openmail.CategoryAutomated, false},
		fromAnn + "Precedence: Bulk\n":                                  {openmail.CategoryAutomated, false},
		fromAnn + listed + "List-Post: <mailto:talk@sender.example>\n":  {openmail.CategoryAutomated, false},
		fromAnn + listed: {openmail.CategoryMarketing, false},
		fromAnn + "X-Auto-Response-Suppress: OOF\n":                           {openmail.CategoryPersonal, false},
		fromAnn + strings.Replace(report, "%s", "Delivery-Status", 1):         {openmail.CategoryBounce, false},
		fromAnn + strings.Replace(report, "%s", "feedback-report", 1):         {openmail.CategoryAutomated, false},
		fromAnn + "Auto-Submitted: (a \\) (nested) comment) auto-generated\n": {openmail.CategoryAutomated, false},
		fromAnn + "Auto-Submitted: no\nAuto-Submitted: auto-replied\n":        {openmail.CategoryAutomated, false},
		fromAnn + "Auto-Submitted: (never ends\n":                             {openmail.CategoryPersonal, true},
		fromAnn + "Precedence: \"bulk\"\n":                                    {openmail.CategoryAutomated, false},
		fromAnn + "X-Auto-Response-Suppress: None\n":                          {openmail.CategoryPersonal, true},
		fromAnn + "X-Auto-Response-Suppress: None, AutoReply\n":               {openmail.CategoryPersonal, false},
		"From: noreply+x1f@shop.example\n":                                    {openmail.CategoryPersonal, false},
		"From: no-reply-1@shop.example\n":                                     {openmail.CategoryPersonal, false},
		"From: noreply2@shop.example\n":                                       {openmail.CategoryPersonal, false},
		"From: ann2@shop.example\n":                                           {openmail.CategoryPersonal, true},
		"From: No_Reply@shop.example\n":                                       {openmail.CategoryPersonal, false},
		"From: do-not-reply@shop.example\n":                                   {openmail.CategoryPersonal, false},
		"From: owner-talk@sender.example\n":                                   {openmail.CategoryPersonal, false},
		"From: Mail <MAILER-DAEMON@sender.example>\n":                         {openmail.CategoryPersonal, false},
		"From: noreplymaster@sender.example\n":                                {openmail.CategoryPersonal, true},
		"Subject: from nobody\n":                                              {openmail.CategoryPersonal, false},
	} {
		c := mime.Read([]byte(strings.ReplaceAll(header, "\n", "\r\n") + "\r\nHello\r\n"))
		if c.Category != want.category || c.AutoReplyable != want.answer {
			t.Errorf("%q is %s, to be answered: %v", header, c.Category, c.AutoReplyable)
		}
		for _, d := range c.Defects {
			if strings.Contains(string(d), "list") {
				t.Errorf("%q has %s", header, d)
			}
		}
	}
}
