package zk

import (
	"context"
	"time"

	"zkhelper/internal/abi"
)

// Option changes how a connection behaves.
type Option func(*options)

type options struct {
	abi.ClientOptions
	connect time.Duration
}

const connectTimeout = 10 * time.Second

// SessionTimeout sets the session timeout to ask for, which is how long ephemeral nodes and locks outlive a program that
// crashed. The server may negotiate another. The default is 10 seconds.
func SessionTimeout(timeout time.Duration) Option {
	return func(o *options) { o.Set(abi.SetSessionTimeout, timeout) }
}

// ConnectTimeout sets how long one round over all the servers may take, and how long Dial waits. The default is 10 seconds.
func ConnectTimeout(timeout time.Duration) Option {
	return func(o *options) {
		o.connect = timeout
		o.Set(abi.SetConnectTimeout, timeout)
	}
}

// OperationTimeout sets how long a request may take. The default is 15 seconds.
func OperationTimeout(timeout time.Duration) Option {
	return func(o *options) { o.Set(abi.SetOperationTimeout, timeout) }
}

// MaxSilence sets how long a connection may be silent before it is given up for another; it is never more than two thirds of
// the session timeout, which is the default.
func MaxSilence(silence time.Duration) Option {
	return func(o *options) { o.Set(abi.SetMaxSilence, silence) }
}

// MaxBackoff sets the longest pause between two rounds over the servers. The default is a second.
func MaxBackoff(pause time.Duration) Option {
	return func(o *options) { o.Set(abi.SetMaxBackoff, pause) }
}

// MaxFrame sets the longest request and answer in bytes: the servers' jute.maxbuffer. The default is 1048575.
func MaxFrame(bytes int) Option {
	return func(o *options) { o.SetNumber(abi.SetMaxFrame, int64(bytes)) }
}

// RenewInterval sets how often the locks of the connection are renewed: one write for all of them. The default is a sixth of
// the session timeout, or of the shortest lease.
func RenewInterval(interval time.Duration) Option {
	return func(o *options) { o.Set(abi.SetRenewInterval, interval) }
}

// RefuseWhileSuspended lets requests fail at once while no server is connected, in place of waiting for one.
func RefuseWhileSuspended() Option {
	return func(o *options) { o.SetNumber(abi.SetWhileSuspended, abi.RefuseWhileSuspended) }
}

// Auth adds credentials, which are shown first on every connection. For the scheme "digest" they are "user:password".
func Auth(scheme string, auth []byte) Option {
	return func(o *options) {
		o.ClientOptions.Auth = append(o.ClientOptions.Auth, abi.Auth{Scheme: scheme, Data: auth})
	}
}

// Credentials is what another connection, also of another process, needs to go on with a session. The password is a
// secret.
type Credentials = abi.Credentials

// Reattach lets the connection go on with a session that another one has or had. Where that is over it is told as a loss, and a new
// one is made.
func Reattach(credentials Credentials) Option {
	return func(o *options) { o.ClientOptions.Reattach = &credentials }
}

// TLSConfig is whom a connection by TLS trusts, and what it shows. Files and texts are in PEM form. The authorities have to be
// there; a certificate and its key only where the servers ask for them.
//
// A server's certificate has to be signed by one of the authorities, to be valid now, and to hold the host name or the IP
// address of the connect string, or ServerName, among its subject's alternative names. Nothing else is trusted: for the
// system's authorities name their bundle, on Debian "/etc/ssl/certs/ca-certificates.crt".
type TLSConfig struct {
	AuthorityFile            string
	Authorities              []byte
	CertificateFile, KeyFile string
	Certificate, Key         []byte
	ServerName               string
}

// TLS connects by TLS. The C library has to be built with it (make install FEATURES=tls): otherwise it is refused with
// CodeUnsupported.
func TLS(config TLSConfig) Option {
	return func(o *options) {
		tls := abi.TLS(config)
		o.ClientOptions.TLS = &tls
	}
}

// Open makes a connection and returns at once: the servers of "host:port,host:port/chroot" are tried in the background.
// Connect is the old driver's form of it.
func Open(address string, opts ...Option) (*Conn, error) {
	conn, _, err := openWith(address, opts)
	return conn, err
}

func openWith(address string, opts []Option) (*Conn, time.Duration, error) {
	o := options{connect: connectTimeout}
	for _, option := range opts {
		option(&o)
	}
	conn, err := open(address, o.ClientOptions, false)
	return conn, o.connect, err
}

// Dial makes a connection and waits for its first session, as long as ConnectTimeout says and the context lasts.
func Dial(ctx context.Context, address string, opts ...Option) (*Conn, error) {
	conn, timeout, err := openWith(address, opts)
	if err != nil {
		return nil, err
	}
	if err := conn.core.client.WaitConnected(timeout).Wait(ctx).Err; err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Credentials are what another connection needs to go on with this session. A session has one connection at a time: while two use
// it, each takes it from the other in turn. SessionID is 0 while there is no session.
func (c *Conn) Credentials() (Credentials, error) { return c.core.client.Credentials() }

// SessionTimeout is the session timeout, as the server negotiated it last, or the one that is asked for.
func (c *Conn) SessionTimeout() time.Duration { return c.core.client.SessionTimeout() }
