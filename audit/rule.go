package audit

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// operator is how a field compares (audit_rule_data.fieldflags).
type operator uint8

// The operators, in the order of Linux's Audit_equal and so on.
const (
	equal operator = iota
	notEqual
	bitMask
	bitTest
	less
	greater
	lessOrEqual
	greaterOrEqual
)

// operators has the flags of each operator.
var operators = [...]uint32{
	equal: unix.AUDIT_EQUAL, notEqual: unix.AUDIT_NOT_EQUAL, bitMask: unix.AUDIT_BIT_MASK, bitTest: unix.AUDIT_BIT_TEST,
	less: unix.AUDIT_LESS_THAN, greater: unix.AUDIT_GREATER_THAN,
	lessOrEqual: unix.AUDIT_LESS_THAN_OR_EQUAL, greaterOrEqual: unix.AUDIT_GREATER_THAN_OR_EQUAL,
}

// compare applies the operator (Linux: audit_comparator).
func (o operator) compare(left, right uint32) bool {
	switch o {
	case equal:
		return left == right
	case notEqual:
		return left != right
	case bitMask:
		return left&right != 0
	case bitTest:
		return left&right == right
	case less:
		return left < right
	case greater:
		return left > right
	case lessOrEqual:
		return left <= right
	case greaterOrEqual:
		return left >= right
	}
	return false
}

// field is one comparison of a rule.
type field struct {
	kind  uint32 // AUDIT_PID and so on
	op    operator
	value uint32
	text  string // of the kinds with a string
	tree  *tree  // of dir=, once the rule is added
}

// maskWords is the size of the mask of system calls, in words of 32 bits.
const maskWords = unix.AUDIT_BITMASK_SIZE

// rule is one rule. It is immutable once it is in a ruleSet.
type rule struct {
	list     uint32 // AUDIT_FILTER_EXIT and so on
	prepend  bool
	action   uint32 // AUDIT_NEVER or AUDIT_ALWAYS
	mask     [maskWords]uint32
	fields   []field
	key      *string
	priority uint64
	// inode is set for a rule that is asked for each name of a call: it has a field
	// inode= with the operator equal, or path=.
	inode bool
	// quick is a field that is compared with few instructions, or has the kind notQuick. A
	// call for which it does not match needs nothing else (context.isRejected).
	quick field
	// legacyLogin: the rule was written with the loginuid -1 for an unset one.
	legacyLogin bool
}

// notQuick is the kind of rule.quick without a field.
const notQuick = ^uint32(0)

// Offsets of struct audit_rule_data, in bytes.
const (
	maxFields   = unix.AUDIT_MAX_FIELDS
	maskAt      = 12
	fieldsAt    = maskAt + 4*maskWords
	valuesAt    = fieldsAt + 4*maxFields
	flagsAt     = valuesAt + 4*maxFields
	bufferLenAt = flagsAt + 4*maxFields
	ruleSize    = bufferLenAt + 4
)

// property says what is valid for a field.
type property uint8

const (
	allOperators  property = iota + 1
	noBits                 // no operators for bits
	onlyEqual              // equal and not equal
	stringField            // onlyEqual, and the value is the length of a string
	orderedString          // noBits, with a string
)

// fieldKinds has the fields that rules may have.
var fieldKinds = map[uint32]property{
	unix.AUDIT_ARG0: allOperators, unix.AUDIT_ARG1: allOperators, unix.AUDIT_ARG2: allOperators, unix.AUDIT_ARG3: allOperators,
	unix.AUDIT_PERS: allOperators, unix.AUDIT_DEVMINOR: allOperators,

	unix.AUDIT_UID: noBits, unix.AUDIT_EUID: noBits, unix.AUDIT_SUID: noBits, unix.AUDIT_FSUID: noBits, unix.AUDIT_LOGINUID: noBits,
	unix.AUDIT_OBJ_UID: noBits, unix.AUDIT_GID: noBits, unix.AUDIT_EGID: noBits, unix.AUDIT_SGID: noBits, unix.AUDIT_FSGID: noBits,
	unix.AUDIT_OBJ_GID: noBits, unix.AUDIT_PID: noBits, unix.AUDIT_MSGTYPE: noBits, unix.AUDIT_PPID: noBits, unix.AUDIT_DEVMAJOR: noBits,
	unix.AUDIT_EXIT: noBits, unix.AUDIT_SUCCESS: noBits, unix.AUDIT_INODE: noBits, unix.AUDIT_SESSIONID: noBits,
	unix.AUDIT_SADDR_FAM: noBits,
	unix.AUDIT_SUBJ_SEN:  orderedString, unix.AUDIT_SUBJ_CLR: orderedString, unix.AUDIT_OBJ_LEV_LOW: orderedString, unix.AUDIT_OBJ_LEV_HIGH: orderedString,

	unix.AUDIT_SUBJ_USER: stringField, unix.AUDIT_SUBJ_ROLE: stringField, unix.AUDIT_SUBJ_TYPE: stringField,
	unix.AUDIT_OBJ_USER: stringField, unix.AUDIT_OBJ_ROLE: stringField, unix.AUDIT_OBJ_TYPE: stringField,
	unix.AUDIT_WATCH: stringField, unix.AUDIT_DIR: stringField, unix.AUDIT_FILTERKEY: stringField, unix.AUDIT_EXE: stringField,
	unix.AUDIT_LOGINUID_SET: onlyEqual, unix.AUDIT_ARCH: onlyEqual, unix.AUDIT_FSTYPE: onlyEqual, unix.AUDIT_PERM: onlyEqual,
	unix.AUDIT_FILETYPE: onlyEqual, unix.AUDIT_FIELD_COMPARE: onlyEqual,
}

// allows reports whether a field with the property may have the operator.
func (p property) allows(o operator) bool {
	switch p {
	case allOperators:
		return true
	case noBits, orderedString:
		return o != bitMask && o != bitTest
	case onlyEqual, stringField:
		return o == equal || o == notEqual
	}
	return false
}

// isText reports whether the value of such a field is the length of a string.
func (p property) isText() bool { return p == stringField || p == orderedString }

// isValid reports whether the value is valid for the kind.
func (f *field) isValid() bool {
	const addressFamilies = 46 // AF_MAX
	switch f.kind {
	case unix.AUDIT_LOGINUID_SET:
		return f.value <= 1
	case unix.AUDIT_PERM:
		return f.value&^(unix.AUDIT_PERM_EXEC|unix.AUDIT_PERM_WRITE|unix.AUDIT_PERM_READ|unix.AUDIT_PERM_ATTR) == 0
	case unix.AUDIT_FILETYPE:
		return f.value&^unix.S_IFMT == 0
	case unix.AUDIT_FIELD_COMPARE:
		return f.value <= unix.AUDIT_MAX_FIELD_COMPARE
	case unix.AUDIT_SADDR_FAM:
		return f.value < addressFamilies
	}
	return true
}

// ids are the fields whose value is a user or group id, which must not be -1.
var ids = []uint32{
	unix.AUDIT_LOGINUID, unix.AUDIT_UID, unix.AUDIT_EUID, unix.AUDIT_SUID, unix.AUDIT_FSUID, unix.AUDIT_OBJ_UID,
	unix.AUDIT_GID, unix.AUDIT_EGID, unix.AUDIT_SGID, unix.AUDIT_FSGID, unix.AUDIT_OBJ_GID,
}

// parseRule parses a struct audit_rule_data, whose length is at least ruleSize (Linux:
// audit_data_to_entry). Errors: EINVAL, ENAMETOOLONG.
func parseRule(p []byte) (*rule, error) {
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(p[at:]) }
	flags, action, count := word(0), word(4), word(8)
	r := &rule{list: flags &^ unix.AUDIT_FILTER_PREPEND, prepend: flags&unix.AUDIT_FILTER_PREPEND != 0, action: action}
	switch r.list {
	case unix.AUDIT_FILTER_EXIT, unix.AUDIT_FILTER_URING_EXIT, unix.AUDIT_FILTER_TASK,
		unix.AUDIT_FILTER_USER, unix.AUDIT_FILTER_EXCLUDE, unix.AUDIT_FILTER_FS:
	default:
		return nil, unix.EINVAL
	}
	if action != unix.AUDIT_NEVER && action != unix.AUDIT_ALWAYS || count > maxFields {
		return nil, unix.EINVAL
	}
	for i := range r.mask {
		r.mask[i] = word(maskAt + 4*i)
	}
	r.expandClasses()
	r.quick.kind = notQuick
	strings := p[ruleSize:]
	for i := range int(count) {
		f := field{kind: word(fieldsAt + 4*i), value: word(valuesAt + 4*i)}
		at := slices.Index(operators[:], word(flagsAt+4*i))
		if at < 0 {
			return nil, unix.EINVAL
		}
		f.op = operator(at)
		var err error
		if strings, err = r.addField(f, strings); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// addField checks a field and appends it. text has the strings of the fields that follow;
// addField returns what is left of it.
func (r *rule) addField(f field, text []byte) ([]byte, error) {
	if f.kind == unix.AUDIT_LOGINUID && f.value == unset {
		f.kind, f.value, r.legacyLogin = unix.AUDIT_LOGINUID_SET, 0, true
	}
	p, known := fieldKinds[f.kind]
	if !known || !r.mayHave(f.kind) || !p.allows(f.op) || !f.isValid() || slices.Contains(ids, f.kind) && f.value == unset {
		return nil, unix.EINVAL
	}
	if f.kind == unix.AUDIT_FILTERKEY && (r.key != nil || f.value > unix.AUDIT_MAX_KEY_LEN) ||
		f.kind == unix.AUDIT_EXE && (r.has(unix.AUDIT_EXE) || f.value > unix.PathMax) {
		return nil, unix.EINVAL
	}
	if p.isText() {
		length := f.value
		if length == 0 || uint64(length) > uint64(len(text)) {
			return nil, unix.EINVAL
		}
		if length > unix.PathMax {
			return nil, unix.ENAMETOOLONG
		}
		f.text, text = string(text[:length]), text[length:]
		f.text, _, _ = strings.Cut(f.text, "\x00")
	}
	if err := r.checkPath(&f); err != nil {
		return nil, err
	}
	switch f.kind {
	case unix.AUDIT_FILTERKEY:
		key := f.text
		r.key = &key
	case unix.AUDIT_INODE, unix.AUDIT_WATCH:
		r.inode = r.inode || f.op == equal
	}
	r.fields = append(r.fields, f)
	switch f.kind {
	case unix.AUDIT_EXIT, unix.AUDIT_UID, unix.AUDIT_PID:
		if f.op == equal {
			r.quick = f
		}
	}
	return text, nil
}

// isOfExit reports whether the rule is in a list that is asked at the exit of calls.
func (r *rule) isOfExit() bool {
	return r.list == unix.AUDIT_FILTER_EXIT || r.list == unix.AUDIT_FILTER_URING_EXIT
}

// mayHave reports whether a rule of its list may have a field.
func (r *rule) mayHave(kind uint32) bool {
	switch {
	case kind == unix.AUDIT_MSGTYPE:
		return r.list == unix.AUDIT_FILTER_EXCLUDE || r.list == unix.AUDIT_FILTER_USER
	case kind == unix.AUDIT_FSTYPE:
		return r.list == unix.AUDIT_FILTER_FS
	case kind == unix.AUDIT_PERM && r.list == unix.AUDIT_FILTER_URING_EXIT:
		return false
	case r.list == unix.AUDIT_FILTER_FS:
		return kind == unix.AUDIT_FILTERKEY
	}
	return true
}

func (r *rule) has(kind uint32) bool {
	return slices.ContainsFunc(r.fields, func(f field) bool { return f.kind == kind })
}

// checkPath checks a field that selects files. A rule has at most one of inode=, path= and
// dir=, and only in the list "exit". EINVAL.
func (r *rule) checkPath(f *field) error {
	exit := r.isOfExit()
	selected := r.has(unix.AUDIT_WATCH) || r.has(unix.AUDIT_DIR) || r.has(unix.AUDIT_INODE)
	absolute := strings.HasPrefix(f.text, "/")
	wrong := false
	switch f.kind {
	case unix.AUDIT_INODE:
		wrong = !exit || selected || f.op != equal && f.op != notEqual
	case unix.AUDIT_WATCH:
		wrong = !exit || selected || !absolute || strings.HasSuffix(f.text, "/") || f.op != equal
	case unix.AUDIT_DIR:
		wrong = !exit || selected || !absolute || f.op != equal
	case unix.AUDIT_EXE:
		wrong = !absolute || strings.HasSuffix(f.text, "/")
	}
	if wrong {
		return unix.EINVAL
	}
	return nil
}

// expandClasses replaces the bits of classes at the end of the mask by the calls of the
// classes.
func (r *rule) expandClasses() {
	for class := range unix.AUDIT_SYSCALL_CLASSES {
		bit := maskWords*32 - class - 1
		if r.mask[bit/32]>>(bit%32)&1 == 0 {
			continue
		}
		r.mask[bit/32] &^= 1 << (bit % 32)
		for _, nr := range classes[class] {
			r.mask[nr/32] |= 1 << (nr % 32)
		}
	}
}

// names reports whether the mask has a call (Linux: audit_in_mask).
func (r *rule) names(nr uint32) bool {
	return nr/32 < maskWords && r.mask[nr/32]>>(nr%32)&1 != 0
}

// mayMatch reports whether the fields pid= match a process.
func (r *rule) mayMatch(pid uint32) bool {
	for i := range r.fields {
		if f := &r.fields[i]; f.kind == unix.AUDIT_PID && !f.op.compare(pid, f.value) {
			return false
		}
	}
	return true
}

// data returns the rule as a struct audit_rule_data with the strings (Linux:
// audit_krule_to_data).
func (r *rule) data() []byte {
	p := make([]byte, ruleSize)
	put := func(at int, value uint32) { binary.LittleEndian.PutUint32(p[at:], value) }
	put(0, r.list)
	put(4, r.action)
	put(8, uint32(len(r.fields)))
	for i, word := range r.mask {
		put(maskAt+4*i, word)
	}
	for i := range r.fields {
		f := &r.fields[i]
		kind, value := f.kind, f.value
		if fieldKinds[f.kind].isText() {
			value = uint32(len(f.text))
			p = append(p, f.text...)
		}
		if kind == unix.AUDIT_LOGINUID_SET && r.legacyLogin && value == 0 {
			kind, value = unix.AUDIT_LOGINUID, unset
		}
		put(fieldsAt+4*i, kind)
		put(valuesAt+4*i, value)
		put(flagsAt+4*i, operators[f.op])
	}
	put(bufferLenAt, uint32(len(p)-ruleSize))
	return p
}

// same reports whether two rules are equal (Linux: audit_compare_rule).
func (r *rule) same(other *rule) bool {
	return r.legacyLogin == other.legacyLogin && r.list == other.list && r.action == other.action && r.mask == other.mask &&
		slices.EqualFunc(r.fields, other.fields, func(a, b field) bool {
			if fieldKinds[a.kind].isText() {
				return a.kind == b.kind && a.op == b.op && a.text == b.text
			}
			return a == b
		})
}

// classes are the groups of calls that a rule can name by one bit, for each ABI (Linux:
// lib/audit.c, arch/x86/ia32/audit.c, include/asm-generic/audit_*.h).
var classes = [unix.AUDIT_SYSCALL_CLASSES][]uint32{
	unix.AUDIT_CLASS_DIR_WRITE: directoryCalls,
	unix.AUDIT_CLASS_CHATTR: {
		unix.SYS_CHMOD, unix.SYS_FCHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_FCHOWN, unix.SYS_SETXATTR, unix.SYS_LSETXATTR,
		unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_FCHOWNAT, unix.SYS_FCHMODAT,
		unix.SYS_LINK, unix.SYS_LINKAT,
	},
	unix.AUDIT_CLASS_READ: {
		unix.SYS_READLINK, unix.SYS_QUOTACTL, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_FLISTXATTR,
		unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_FGETXATTR, unix.SYS_READLINKAT,
	},
	unix.AUDIT_CLASS_WRITE: slices.Concat(directoryCalls, []uint32{
		unix.SYS_ACCT, unix.SYS_SWAPON, unix.SYS_QUOTACTL, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_BIND, unix.SYS_FALLOCATE,
	}),
	unix.AUDIT_CLASS_SIGNAL: {unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_TKILL},

	unix.AUDIT_CLASS_DIR_WRITE_32: directoryCalls32,
	unix.AUDIT_CLASS_CHATTR_32: {
		chmod32, fchmod32, chown16, lchown16, fchown16, setxattr32, lsetxattr32, fsetxattr32, removexattr32, lremovexattr32,
		fremovexattr32, fchownat32, fchmodat32, chown32, fchown32, lchown32, link32, linkat32,
	},
	unix.AUDIT_CLASS_READ_32: {
		readlink32, quotactl32, listxattr32, llistxattr32, flistxattr32, getxattr32, lgetxattr32, fgetxattr32, readlinkat32,
	},
	unix.AUDIT_CLASS_WRITE_32: slices.Concat(directoryCalls32, []uint32{
		acct32, swapon32, quotactl32, truncate32, truncate64, ftruncate32, ftruncate64, bind32, fallocate32,
	}),
	unix.AUDIT_CLASS_SIGNAL_32: {kill32, tgkill32, tkill32},
}

// directoryCalls32 is directoryCalls for the ABI I386.
var directoryCalls32 = []uint32{
	rename32, mkdir32, rmdir32, creat32, link32, unlink32, symlink32, mknod32,
	mkdirat32, mknodat32, unlinkat32, renameat32, linkat32, symlinkat32, renameatFlags32,
}

// directoryCalls are the calls that change directories.
var directoryCalls = []uint32{
	unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_CREAT, unix.SYS_LINK, unix.SYS_UNLINK, unix.SYS_SYMLINK, unix.SYS_MKNOD,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_RENAMEAT2,
}
