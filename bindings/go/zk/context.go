package zk

import (
	"context"

	"zkhelper/internal/abi"
)

// The operations with a context return an *Error, which errors.Is finds by the old error variable of the same meaning. When
// the context ends, what was not sent yet never is; a write that was sent runs to its end.

func waited(ctx context.Context, call *abi.Call) (*abi.Result, error) {
	outcome := call.Wait(ctx)
	return outcome.Result, outcome.Err
}

// AddAuthContext is AddAuth with a context and an *Error.
func (c *Conn) AddAuthContext(ctx context.Context, scheme string, auth []byte) error {
	return c.core.client.AddAuth(scheme, auth).Wait(ctx).Err
}

// ChildrenContext is Children with a context and an *Error.
func (c *Conn) ChildrenContext(ctx context.Context, path string) ([]string, Stat, error) {
	result, err := waited(ctx, c.core.client.Children(path))
	if err != nil {
		return nil, statOf(nil), err
	}
	return result.Names, statOf(result), nil
}

// GetContext is Get with a context and an *Error.
func (c *Conn) GetContext(ctx context.Context, path string) ([]byte, Stat, error) {
	result, err := waited(ctx, c.core.client.Get(path))
	if err != nil {
		return nil, statOf(nil), err
	}
	return result.Data, statOf(result), nil
}

// ExistsContext is Exists with a context and an *Error.
func (c *Conn) ExistsContext(ctx context.Context, path string) (bool, Stat, error) {
	result, err := waited(ctx, c.core.client.Exists(path))
	return err == nil && result.Exists, statOf(result), err
}

// SetContext is Set with a context and an *Error.
func (c *Conn) SetContext(ctx context.Context, path string, data []byte, version int32) (Stat, error) {
	result, err := waited(ctx, c.core.client.Set(path, data, version))
	return statOf(result), err
}

// CreateContext is Create with a context and an *Error.
func (c *Conn) CreateContext(
	ctx context.Context, path string, data []byte, flags int32, acl []ACL,
) (string, error) {
	result, err := waited(ctx, c.core.client.Create(path, data, mode(flags), c.core.list(acl)))
	if err != nil {
		return "", err
	}
	return result.Path, nil
}

func mode(flags int32) int32 { return flags & (FlagEphemeral | FlagSequence) }

func (c *core) list(acl []ACL) []abi.ACL {
	if c.lenient && len(acl) == 0 {
		return nil
	}
	return list(acl)
}

// DeleteContext is Delete with a context and an *Error.
func (c *Conn) DeleteContext(ctx context.Context, path string, version int32) error {
	return c.core.client.Delete(path, version).Wait(ctx).Err
}

// GetACLContext is GetACL with a context and an *Error.
func (c *Conn) GetACLContext(ctx context.Context, path string) ([]ACL, Stat, error) {
	result, err := waited(ctx, c.core.client.GetACL(path))
	if err != nil {
		return nil, statOf(nil), err
	}
	var acl []ACL
	for _, entry := range result.ACL {
		acl = append(acl, ACL(entry))
	}
	return acl, statOf(result), nil
}

// SetACLContext is SetACL with a context and an *Error.
func (c *Conn) SetACLContext(ctx context.Context, path string, acl []ACL, version int32) (Stat, error) {
	result, err := waited(ctx, c.core.client.SetACL(path, c.core.list(acl), version))
	return statOf(result), err
}

// SyncContext is Sync with a context and an *Error.
func (c *Conn) SyncContext(ctx context.Context, path string) error {
	return c.core.client.Sync(path).Wait(ctx).Err
}

// Ephemerals lists the paths of the session's ephemeral nodes that begin with prefix; "/" is all. Servers from 3.6 on
// know it.
func (c *Conn) Ephemerals(ctx context.Context, prefix string) ([]string, error) {
	result, err := waited(ctx, c.core.client.Ephemerals(prefix))
	if err != nil {
		return nil, err
	}
	return result.Names, nil
}

// Identity is whom a server takes a connection for.
type Identity struct{ Scheme, ID string }

// WhoAmI asks whom the server takes this connection for. Servers from 3.7 on know it.
func (c *Conn) WhoAmI(ctx context.Context) ([]Identity, error) {
	result, err := waited(ctx, c.core.client.WhoAmI())
	if err != nil {
		return nil, err
	}
	var all []Identity
	for _, entry := range result.ACL {
		all = append(all, Identity{entry.Scheme, entry.ID})
	}
	return all, nil
}
