package unixsock

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// Address is the address of a socket: a path, an abstract name, or no name.
type Address struct {
	Name     string
	Abstract bool
}

// None reports whether the address has no name.
func (a Address) None() bool { return a.Name == "" && !a.Abstract }

// maxName is the size of sun_path in bytes.
const maxName = 108

// ParseAddress parses a struct sockaddr_un. An address that has only the family
// has no name. Error: EINVAL.
func ParseAddress(p []byte) (Address, error) {
	if len(p) < 2 || len(p) > maxName+2 || uint16(p[0])|uint16(p[1])<<8 != unix.AF_UNIX {
		return Address{}, unix.EINVAL
	}
	name := string(p[2:])
	if name == "" {
		return Address{}, nil
	}
	if name[0] == 0 {
		return Address{Name: name[1:], Abstract: true}, nil
	}
	name, _, _ = strings.Cut(name, "\x00")
	return Address{Name: name}, nil
}

// Bytes returns the address as a struct sockaddr_un that ends after the name.
func (a Address) Bytes() []byte {
	p := []byte{unix.AF_UNIX, 0}
	switch {
	case a.Abstract:
		p = append(append(p, 0), a.Name...)
	case a.Name != "":
		p = append(append(p, a.Name...), 0)
	}
	return p
}

// LocalName is getsockname(2).
func (s *Socket) LocalName() Address {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	return s.name
}

// PeerName is getpeername(2). Error: ENOTCONN.
func (s *Socket) PeerName() (Address, error) {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if s.state != connected || s.peer == nil {
		return Address{}, unix.ENOTCONN
	}
	return s.peer.name, nil
}

// Bind is bind(2). Errors: EINVAL if the socket already has a name, EADDRINUSE,
// and those of creating a file.
func (s *Socket) Bind(caller fs.Caller, a Address) error {
	s.binding.Lock()
	defer s.binding.Unlock()
	named := !s.LocalName().None()
	switch {
	case named && a.None():
		return nil // autobind of a socket with a name does nothing (Linux: unix_autobind)
	case named:
		return unix.EINVAL
	case a.None():
		return s.autobind()
	}
	if a.Abstract {
		return s.bindAbstract(a)
	}
	p, err := fs.At{Caller: caller, Name: a.Name}.MakeNode(unix.S_IFSOCK|0o777, 0)
	if err == unix.EEXIST {
		return unix.EADDRINUSE
	}
	if err != nil {
		return err
	}
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	p.Inode().Base().Attachment(func() any { return s })
	s.name = a
	return nil
}

func (s *Socket) bindAbstract(a Address) error {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if _, taken := s.domain.abstract[a.Name]; taken {
		return unix.EADDRINUSE
	}
	s.domain.abstract[a.Name] = s
	s.name = a
	return nil
}

// autoNames is the number of names of autobind.
const autoNames = 1 << 20

// autoName returns the next name of autobind.
func (d *domain) autoName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nextAuto = (d.nextAuto + 1) % autoNames
	return fmt.Sprintf("%05x", d.nextAuto)
}

// autobind gives the socket an abstract name of five hexadecimal digits
// (unix(7), "Autobind feature").
func (s *Socket) autobind() error {
	for range autoNames {
		name := s.domain.autoName()
		if err := s.bindAbstract(Address{Name: name, Abstract: true}); err != unix.EADDRINUSE {
			return err
		}
	}
	return unix.ENOSPC
}

// find returns the socket that is bound to an address. Errors: EINVAL without a
// name, ECONNREFUSED if no socket is bound to it, and those of a walk.
func (s *Socket) find(caller fs.Caller, a Address) (*Socket, error) {
	if a.None() {
		return nil, unix.EINVAL
	}
	if a.Abstract {
		s.domain.mu.Lock()
		defer s.domain.mu.Unlock()
		if other := s.domain.abstract[a.Name]; other != nil {
			return other, nil
		}
		return nil, unix.ECONNREFUSED
	}
	p, err := fs.At{Caller: caller, Name: a.Name, Follow: true}.Lookup()
	if err != nil {
		return nil, err
	}
	if err := p.Permit(caller, fs.MayWrite); err != nil {
		return nil, err
	}
	other, ok := p.Inode().Base().Attachment(nil).(*Socket)
	if !ok {
		return nil, unix.ECONNREFUSED
	}
	return other, nil
}

// DescribeSocket implements fs.SocketDescriber.
func (s *Socket) DescribeSocket() string {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	text := "UNIX"
	if s.kind == unix.SOCK_STREAM {
		text = "UNIX-STREAM"
	}
	text += ":[" + strconv.FormatUint(s.number.Load(), 10)
	if s.peer != nil && s.peer.number.Load() != 0 {
		text += "->" + strconv.FormatUint(s.peer.number.Load(), 10)
	}
	if !s.name.None() {
		text += ","
		if s.name.Abstract {
			text += "@"
		}
		text += strconv.Quote(s.name.Name)
	}
	return text + "]"
}
