package zk

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Dialer makes a connection to a server, as net.DialTimeout does.
type Dialer func(network, address string, timeout time.Duration) (net.Conn, error)

// ConnectWithDialer is Connect with connections of the program's own making: through a proxy, say. The library makes its
// connections itself, so each goes through a port on 127.0.0.1, which serves nobody but this user, to one that the
// dialer makes. For TLS there is the option TLS of Dial. A nil dialer is Connect.
func ConnectWithDialer(servers []string, recvTimeout time.Duration, dialer Dialer) (*Conn, <-chan Event, error) {
	if dialer == nil {
		return Connect(servers, recvTimeout)
	}
	var relays relays
	addresses := make([]string, 0, len(servers))
	for _, server := range servers {
		address, err := relays.add(server, recvTimeout, dialer)
		if err != nil {
			relays.close()
			return nil, nil, err
		}
		addresses = append(addresses, address)
	}
	conn, events, err := Connect(addresses, recvTimeout)
	if err != nil {
		relays.close()
		return nil, nil, err
	}
	conn.core.news.add(func(StateChange) {}, relays.close)
	return conn, events, nil
}

// relays are the ports that lead to servers by way of a dialer.
type relays struct{ listeners []net.Listener }

func (r *relays) close() {
	for _, listener := range r.listeners {
		listener.Close()
	}
}

func (r *relays) add(server string, timeout time.Duration, dialer Dialer) (address string, err error) {
	if !strings.Contains(server, ":") {
		server = fmt.Sprint(server, ":", DefaultPort)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	r.listeners = append(r.listeners, listener)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(near, server, timeout, dialer)
		}
	}()
	return listener.Addr().String(), nil
}

func relay(near net.Conn, server string, timeout time.Duration, dialer Dialer) {
	defer near.Close()
	if !ofThisUser(near) {
		return
	}
	far, err := dialer("tcp", server, timeout)
	if err != nil {
		return
	}
	defer far.Close()
	var once sync.Once
	ended := make(chan struct{})
	copied := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		once.Do(func() { close(ended) })
	}
	go copied(far, near)
	go copied(near, far)
	<-ended
}

// ofThisUser says whether the other end of a connection on this machine is a process of the same user, as far as the
// system tells: Linux does.
func ofThisUser(conn net.Conn) bool {
	peer, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	table, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		return !os.IsPermission(err)
	}
	defer table.Close()
	port := fmt.Sprintf(":%04X", peer.Port)
	for lines := bufio.NewScanner(table); lines.Scan(); {
		// sl local_address rem_address st queues tr retrnsmt uid ...
		fields := strings.Fields(lines.Text())
		if len(fields) > 7 && fields[1] == "0100007F"+port {
			uid, err := strconv.Atoi(fields[7])
			return err == nil && uid == os.Getuid()
		}
	}
	return false
}
