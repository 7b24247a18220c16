package zkhelper

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// memory is a connection with a server of its own.
type memory struct {
	*zk.Conn
	server *abi.Server
	once   sync.Once
}

// NewConn makes a connection to a server of its own, in this process and in memory: for tests. An empty ACL lets
// anyone do everything there, and sequential nodes are numbered from 1 on. Close stops the server. It panics where no
// server can be started.
func NewConn() Conn {
	server, err := abi.StartServer(0, 0)
	if err == nil {
		err = server.SetLenient(true)
	}
	if err != nil {
		panic(err)
	}
	conn, err := abi.ConnectLeniently(server.Address())
	if err != nil {
		server.Free()
		panic(err)
	}
	return &memory{Conn: conn.(*zk.Conn), server: server}
}

// NewConnFromFile is NewConn with nodes from a file: a JSON object whose keys are paths and whose values become
// the nodes' data, as JSON. It panics where the file is not such a one.
func NewConnFromFile(filename string) Conn {
	data, err := os.ReadFile(filename)
	if err != nil {
		panic(fmt.Errorf("NewConnFromFile: %w", err))
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		panic(fmt.Errorf("NewConnFromFile: %v: %w", filename, err))
	}
	conn := NewConn()
	for path, value := range values {
		var parsed interface{}
		text, err := value, json.Unmarshal(value, &parsed)
		if err == nil {
			text, err = json.Marshal(parsed)
		}
		if err == nil {
			_, err = CreateOrUpdate(conn, path, string(text), 0, DefaultACLs(), true)
		}
		if err != nil {
			conn.Close()
			panic(fmt.Errorf("NewConnFromFile: %v: %v: %w", filename, path, err))
		}
	}
	return conn
}

// Seq2Str is a number as it stands behind the name of a sequential node.
func (m *memory) Seq2Str(seq int64) string { return seq2str(seq) }

// Exists has no status where there is no node, as the old in-memory connection had none.
func (m *memory) Exists(path string) (bool, zk.Stat, error) {
	exists, stat, err := m.Conn.Exists(path)
	if !exists {
		return false, nil, err
	}
	return exists, stat, err
}

// ExistsW is as Exists, with a watch.
func (m *memory) ExistsW(path string) (bool, zk.Stat, <-chan zk.Event, error) {
	exists, stat, watch, err := m.Conn.ExistsW(path)
	if !exists {
		return false, nil, watch, err
	}
	return exists, stat, watch, err
}

// Close ends the connection and stops its server.
func (m *memory) Close() {
	m.once.Do(func() {
		m.Conn.Close()
		m.server.Free()
	})
}
