package hostkernel

import (
	"reflect"
	"sync"
	"unsafe"
)

// heldLocks returns the locks that are held in the objects that can be reached from
// the roots, as the types and fields on the way to them. No task may run.
func heldLocks(roots ...any) []string {
	w := lockWalk{seen: map[visit]bool{}}
	for _, root := range roots {
		w.value(reflect.ValueOf(root), &path{of: reflect.TypeOf(root), field: -1})
	}
	return w.held
}

// visit is an object that the walk has seen.
type visit struct {
	at   unsafe.Pointer
	kind reflect.Type
}

type lockWalk struct {
	seen map[visit]bool
	held []string
}

// path is the way to a value: a field of a value, or a type.
type path struct {
	parent *path
	of     reflect.Type
	field  int
}

func (p *path) String() string {
	switch {
	case p == nil:
		return ""
	case p.field < 0:
		return p.parent.String() + p.of.String()
	}
	return p.parent.String() + "." + p.of.Field(p.field).Name
}

var (
	mutexType   = reflect.TypeFor[sync.Mutex]()
	rwMutexType = reflect.TypeFor[sync.RWMutex]()
)

// value visits a value. way describes the way to it.
func (w *lockWalk) value(v reflect.Value, way *path) {
	switch v.Kind() {
	case reflect.Pointer:
		w.pointer(v, way)
	case reflect.Interface:
		if !v.IsNil() {
			w.value(v.Elem(), way)
		}
	case reflect.Struct:
		w.structure(v, way)
	case reflect.Slice, reflect.Array:
		if hasPointers(v.Type().Elem()) {
			for i := range v.Len() {
				w.value(v.Index(i), way)
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			w.value(entries.Key(), way)
			w.value(entries.Value(), way)
		}
	}
}

func (w *lockWalk) pointer(v reflect.Value, way *path) {
	if v.IsNil() {
		return
	}
	key := visit{v.UnsafePointer(), v.Type()}
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	w.value(v.Elem(), &path{of: v.Type().Elem(), field: -1})
}

func (w *lockWalk) structure(v reflect.Value, way *path) {
	switch {
	case v.Type() == mutexType && v.CanAddr():
		if m := (*sync.Mutex)(v.Addr().UnsafePointer()); !m.TryLock() {
			w.held = append(w.held, way.String())
		} else {
			m.Unlock()
		}
		return
	case v.Type() == rwMutexType && v.CanAddr():
		if m := (*sync.RWMutex)(v.Addr().UnsafePointer()); !m.TryLock() {
			w.held = append(w.held, way.String())
		} else {
			m.Unlock()
		}
		return
	}
	if target := atomicPointer(v); target.IsValid() {
		w.pointer(target, way)
		return
	}
	for i := range v.NumField() {
		if f := v.Field(i); hasPointers(f.Type()) {
			w.value(f, &path{parent: way, of: v.Type(), field: i})
		}
	}
}

// atomicPointer returns the pointer in an atomic.Pointer, or the zero Value for
// other types. Its first field tells the type: [0]*T.
func atomicPointer(v reflect.Value) reflect.Value {
	t := v.Type()
	if t.PkgPath() != "sync/atomic" || t.NumField() != 3 || t.Field(0).Type.Kind() != reflect.Array || !v.CanAddr() {
		return reflect.Value{}
	}
	return reflect.NewAt(t.Field(0).Type.Elem(), v.Field(2).Addr().UnsafePointer()).Elem()
}

// hasPointers reports whether values of the type may lead to a lock.
func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Slice, reflect.Map:
		return true
	case reflect.Array:
		return hasPointers(t.Elem())
	}
	return false
}
