package app

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"openmail"
	"openmail/internal/dispatch"
	"openmail/internal/outgoing"
)

// metrics are the figures at /metrics. What the parts count themselves is read
// when it is asked for.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	receipts prometheus.Histogram
	posts    *prometheus.HistogramVec
	texts    *prometheus.HistogramVec
	mails    *prometheus.CounterVec
	domains  *prometheus.CounterVec
}

func newMetrics(a *App) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "openmail_http_request_seconds", Help: "REST requests by route and status.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"method", "route", "status"}),
		receipts: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "openmail_receipt_seconds", Help: "From the push of an event on a socket to its receipt.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}),
		posts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "openmail_webhook_post_seconds", Help: "Posts to endpoints by how they ended.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"outcome"}),
		texts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "openmail_extraction_seconds", Help: "Attachments that needed a child process, by how they were read or why not.",
			Buckets: prometheus.ExponentialBuckets(0.002, 4, 7),
		}, []string{"method"}),
	}
	m.mails = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "openmail_mail_attempts_total", Help: "Attempts to hand a mail to a recipient's server, by what the delivery became: sent, pending or failed.",
	}, []string{"state"})
	m.domains = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "openmail_domain_checks_total", Help: "Checks of the domains that accounts have brought, by the status that the domain had afterwards.",
	}, []string{"status"})
	// From the start, so that what grows from nothing is seen to grow.
	for _, e := range []openmail.Extraction{
		openmail.ExtractionPDF, openmail.ExtractionOCR, openmail.ExtractionOffice, openmail.ExtractionCSV, openmail.ExtractionText, openmail.ExtractionTimeout,
	} {
		m.texts.WithLabelValues(string(e))
	}
	m.registry.MustRegister(
		m.requests, m.receipts, m.posts, m.texts, m.mails, m.domains, &parts{a},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) receipt(r dispatch.Receipt) { m.receipts.Observe(r.At.Sub(r.PushedAt).Seconds()) }

func (m *metrics) posted(a openmail.Attempt) {
	m.posts.WithLabelValues(string(a.Outcome)).Observe(a.Took.Seconds())
}

func (m *metrics) extracted(e openmail.Extraction, took time.Duration) {
	m.texts.WithLabelValues(string(e)).Observe(took.Seconds())
}

func (m *metrics) carried(s outgoing.Settled) { m.mails.WithLabelValues(string(s.Next.State)).Inc() }

func (m *metrics) domainChecked(s openmail.DomainStatus) { m.domains.WithLabelValues(string(s)).Inc() }

// parts reads the counts of the parts.
type parts struct{ a *App }

// Describe says nothing beforehand: the labels are those that there are.
func (p *parts) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counts.
func (p *parts) Collect(ch chan<- prometheus.Metric) {
	e := func(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
	}
	p.smtp(e)
	p.stream(e)
	p.store(e)
	p.queue(e)
	p.certificates(e)
}

type emit func(kind prometheus.ValueType, name, help string, value float64, labels ...string)

func (p *parts) stream(e emit) {
	m := p.a.stream.Metrics()
	e(prometheus.GaugeValue, "openmail_sockets", "Open WebSockets.", float64(m.Open))
	e(prometheus.CounterValue, "openmail_sockets_opened_total", "WebSockets opened.", float64(m.Opened))
	e(prometheus.CounterValue, "openmail_sockets_refused_total", "WebSockets refused for their key, the limit or the origin.", float64(m.Refused))
	e(prometheus.CounterValue, "openmail_events_pushed_total", "Events pushed, counted for each socket.", float64(m.Pushed))
	e(prometheus.CounterValue, "openmail_receipts_total", "Receipts of pushed events.", float64(m.Receipts))
}

func (p *parts) store(e emit) {
	g := p.a.store.Groups()
	e(prometheus.CounterValue, "openmail_store_commits_total", "Commits, each with one fsync.", float64(g.Commits()))
	e(prometheus.CounterValue, "openmail_store_units_total", "Callers whose writes the commits held.", float64(g.Units()))
	bounds, counts := g.Buckets()
	for i, n := range counts {
		e(prometheus.CounterValue, "openmail_store_group_size_total", "Commits by the number of callers that shared them, up to size.",
			float64(n), "size", strconv.Itoa(bounds[i]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	backlog, err := p.a.store.Backlog(ctx, openmail.Operator())
	if err != nil {
		return
	}
	for state, b := range backlog {
		e(prometheus.GaugeValue, "openmail_deliveries_waiting", "Deliveries under way by state.", float64(b.Count), "state", string(state))
		e(prometheus.GaugeValue, "openmail_deliveries_overdue_seconds", "How far the oldest lies past its due time.",
			overdue(b.Oldest), "state", string(state))
	}
}

func (p *parts) queue(e emit) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	queued, held, oldest, err := p.a.store.MailBacklog(ctx, openmail.Operator())
	if err != nil {
		return
	}
	e(prometheus.GaugeValue, "openmail_mail_queue", "Recipients of outbound mail that wait for an attempt, and those that wait for a way to other domains.", float64(queued), "state", "queued")
	e(prometheus.GaugeValue, "openmail_mail_queue", "Recipients of outbound mail that wait for an attempt, and those that wait for a way to other domains.", float64(held), "state", "held")
	if counts, err := p.a.store.CountDomains(ctx, openmail.Operator()); err == nil {
		for status, n := range counts {
			e(prometheus.GaugeValue, "openmail_domains", "Domains that accounts have brought, by status.", float64(n), "status", string(status))
		}
	}
	e(prometheus.GaugeValue, "openmail_mail_overdue_seconds", "How far the oldest attempt lies past its due time.", overdue(oldest))
}

func (p *parts) smtp(e emit) {
	m := p.a.smtp.Metrics()
	e(prometheus.GaugeValue, "openmail_smtp_sessions", "Open SMTP sessions.", float64(m.Open.Load()))
	e(prometheus.CounterValue, "openmail_smtp_sessions_total", "SMTP sessions.", float64(m.Sessions.Load()))
	e(prometheus.CounterValue, "openmail_mails_received_total", "Mails answered with 250.", float64(m.Accepted.Load()))
	for code, n := range m.Refused() {
		e(prometheus.CounterValue, "openmail_smtp_refused_total", "Refusals by reply code.", float64(n), "code", strconv.Itoa(code))
	}
}

func overdue(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(time.Since(since).Seconds(), 0)
}
