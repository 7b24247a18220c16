package zkhelper

import (
	"context"

	"zkhelper/zk"
)

// Dial connects to the servers at "host:port,host:port/chroot", and waits for the first session: as long as the context lasts,
// and ten seconds, or what zk.ConnectTimeout says. The options are those of package zk; without any, the session timeout is ten
// seconds. ConnectToZk is the old package's form of it.
func Dial(ctx context.Context, address string, options ...zk.Option) (*MyZkConn, error) {
	conn, err := zk.Dial(ctx, address, options...)
	if err != nil {
		return nil, err
	}
	return &MyZkConn{Conn: conn}, nil
}

// Open is Dial without waiting: the servers are tried in the background.
func Open(address string, options ...zk.Option) (*MyZkConn, error) {
	conn, err := zk.Open(address, options...)
	if err != nil {
		return nil, err
	}
	return &MyZkConn{Conn: conn}, nil
}
