package zk

import (
	"crypto/sha1"
	"encoding/base64"
	"time"

	"zkhelper/internal/abi"
)

// ACL says what somebody may do with a node.
type ACL struct {
	Perms  int32
	Scheme string
	ID     string
}

// WorldACL lets anyone do what perms says.
func WorldACL(perms int32) []ACL { return []ACL{{perms, "world", "anyone"}} }

// AuthACL lets whoever is authenticated on the connection that sets it do what perms says.
func AuthACL(perms int32) []ACL { return []ACL{{perms, "auth", ""}} }

// DigestACL lets whoever knows the password do what perms says.
func DigestACL(perms int32, user, password string) []ACL {
	sum := sha1.Sum([]byte(user + ":" + password))
	return []ACL{{perms, "digest", user + ":" + base64.StdEncoding.EncodeToString(sum[:])}}
}

// list is an ACL for the core. Nothing is an empty list, which a server refuses.
func list(acl []ACL) []abi.ACL {
	converted := make([]abi.ACL, 0, len(acl))
	for _, entry := range acl {
		converted = append(converted, abi.ACL(entry))
	}
	return converted
}

// Stat is a node's status.
type Stat interface {
	Czxid() int64          // The transaction that created the node.
	Mzxid() int64          // The transaction that set its data last.
	CTime() time.Time      // When it was created, by the servers' clock.
	MTime() time.Time      // When its data was set last.
	Version() int          // How often its data was set.
	CVersion() int         // How often its list of children changed.
	AVersion() int         // How often its ACL was set.
	EphemeralOwner() int64 // The session that it ends with, 0 if it is not ephemeral.
	DataLength() int       // The length of its data in bytes.
	NumChildren() int      // The number of its children.
	Pzxid() int64          // The transaction that changed its list of children last.
}

type stat struct{ of abi.Stat }

// statOf is a status; where there is none, it has zeros, as the old driver's had.
func statOf(result *abi.Result) *stat {
	if result == nil || result.Stat == nil {
		return &stat{}
	}
	return &stat{*result.Stat}
}

func moment(ms int64) time.Time { return time.Unix(ms/1000, ms%1000*int64(time.Millisecond)) }

func (s *stat) Czxid() int64          { return s.of.Czxid }
func (s *stat) Mzxid() int64          { return s.of.Mzxid }
func (s *stat) CTime() time.Time      { return moment(s.of.Ctime) }
func (s *stat) MTime() time.Time      { return moment(s.of.Mtime) }
func (s *stat) Version() int          { return int(s.of.Version) }
func (s *stat) CVersion() int         { return int(s.of.Cversion) }
func (s *stat) AVersion() int         { return int(s.of.Aversion) }
func (s *stat) EphemeralOwner() int64 { return s.of.EphemeralOwner }
func (s *stat) DataLength() int       { return int(s.of.DataLength) }
func (s *stat) NumChildren() int      { return int(s.of.NumChildren) }
func (s *stat) Pzxid() int64          { return s.of.Pzxid }
