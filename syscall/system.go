package syscall

import (
	"golang.org/x/sys/unix"
	"math"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/task"
)

// systemCalls are the calls on the machine as a whole.
var systemCalls = []Row{
	{Number: unix.SYS_UNAME, Name: "uname", Arguments: args(Pointer), Handler: sysUname},
	{Number: unix.SYS_SETHOSTNAME, Name: "sethostname", Arguments: args(Pointer, Uint), Handler: sysSethostname},
	{Number: unix.SYS_SETDOMAINNAME, Name: "setdomainname", Arguments: args(Pointer, Uint), Handler: sysSetdomainname},
	{Number: unix.SYS_SYSINFO, Name: "sysinfo", Arguments: args(Pointer), Handler: sysSysinfo},
	{Number: unix.SYS_GETRANDOM, Name: "getrandom", Arguments: args(Pointer, Uint, Hex), Handler: sysGetrandom},
}

// The constant fields of uname(2). Programs compare the release with versions
// of Linux, so it is the version that this kernel implements.
const (
	SystemName = "Linux"
	Release    = "6.1.0-slowpath"
	Version    = "#1 SMP Slowpath"
	Machine    = "x86_64"

	utsNameSize = 65 // with the NUL
)

func sysUname(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, abi.CopyOut(t, a[0], utsname(t))
}

// utsname returns the names of uname(2). A program with the execution domain PER_LINUX32
// sees the machine of 32-bit programs (personality(2)).
func utsname(t *task.Task) (name unix.Utsname) {
	const perLinux32, domainMask = 0x8, 0xff
	machine := Machine
	if t.Personality(^uint32(0))&domainMask == perLinux32 {
		machine = "i686"
	}
	host, domain := t.Kernel().HostName()
	for _, field := range [...]struct {
		to   *[utsNameSize]byte
		text string
	}{
		{&name.Sysname, SystemName}, {&name.Nodename, host}, {&name.Release, Release},
		{&name.Version, Version}, {&name.Machine, machine}, {&name.Domainname, domain},
	} {
		copy(field.to[:utsNameSize-1], field.text)
	}
	return name
}

// loadName reads a new host or domain name. Errors: EPERM without
// CAP_SYS_ADMIN, EINVAL, EFAULT.
func loadName(t *task.Task, a *amd64.Args) (string, error) {
	if !t.Credentials().Has(cred.SysAdmin) {
		return "", unix.EPERM
	}
	if a[1] >= utsNameSize {
		return "", unix.EINVAL
	}
	raw := make([]byte, a[1])
	err := t.CopyIn(a[0], raw)
	return string(raw), err
}

func sysSethostname(t *task.Task, a *amd64.Args) (uint64, error) {
	name, err := loadName(t, a)
	if err == nil {
		t.Kernel().SetHostName(name)
	}
	return 0, err
}

func sysSetdomainname(t *task.Task, a *amd64.Args) (uint64, error) {
	name, err := loadName(t, a)
	if err == nil {
		t.Kernel().SetDomainName(name)
	}
	return 0, err
}

func sysSysinfo(t *task.Task, a *amd64.Args) (uint64, error) {
	k := t.Kernel()
	stats := k.Memory().Stats()
	info := abi.Sysinfo{
		Uptime:    clock.Monotonic() / second,
		TotalRAM:  uint64(stats.Total) * mm.PageSize,
		FreeRAM:   uint64(stats.Free) * mm.PageSize,
		SharedRAM: uint64(stats.Shared) * mm.PageSize,
		Procs:     uint16(min(k.Threads(), 0xffff)),
		MemUnit:   1,
	}
	const loadShift = 16 // SI_LOAD_SHIFT
	for i, load := range k.LoadAverage() {
		info.Loads[i] = uint64(load * (1 << loadShift))
	}
	return 0, store(t, t.Layout.Narrow(), a[0], info, narrowSysinfo)
}

// narrowSysinfo returns the struct sysinfo of a 32-bit program. The unit of memory grows
// until all sizes fit.
func narrowSysinfo(v abi.Sysinfo) compat.Sysinfo {
	unit := uint64(v.MemUnit)
	for unit < mm.PageSize && (v.TotalRAM|v.TotalSwap)/unit > math.MaxUint32 {
		unit *= 2
	}
	n := compat.Sysinfo{
		Uptime:   int32(v.Uptime),
		Totalram: uint32(v.TotalRAM / unit), Freeram: uint32(v.FreeRAM / unit), Sharedram: uint32(v.SharedRAM / unit),
		Bufferram: uint32(v.BufferRAM / unit), Totalswap: uint32(v.TotalSwap / unit), Freeswap: uint32(v.FreeSwap / unit),
		Procs: v.Procs, MemUnit: uint32(unit),
	}
	for i, load := range v.Loads {
		n.Loads[i] = uint32(load)
	}
	return n
}

// randomChunk is the number of random bytes that are generated at a time.
// Between two chunks a signal can end the call.
const randomChunk = 4096

func sysGetrandom(t *task.Task, a *amd64.Args) (uint64, error) {
	const known = unix.GRND_NONBLOCK | unix.GRND_RANDOM | unix.GRND_INSECURE
	both := uint64(unix.GRND_RANDOM | unix.GRND_INSECURE)
	if flags := a[2] & math.MaxUint32; flags&^known != 0 || flags&both == both {
		return 0, unix.EINVAL
	}
	var chunk [randomChunk]byte
	size := min(a[1], 1<<31-1)
	for done := uint64(0); done < size; {
		p := chunk[:min(size-done, randomChunk)]
		t.Kernel().Random(p)
		n, err := t.CopyOutSome(a[0]+done, p)
		done += uint64(n)
		if err != nil || t.Interrupted() {
			return moved(done, err)
		}
		t.Yield()
	}
	return size, nil
}
