package trace

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// line appends the text of a record, as the files trace and trace_pipe show it (Linux:
// print_trace_line).
func (i *Instance) line(dst []byte, cpu int, time uint64, record []byte) []byte {
	if len(record) < CommonSize {
		return dst
	}
	options := i.options.Load()
	id, tid := int(binary.LittleEndian.Uint16(record)), int(int32(binary.LittleEndian.Uint32(record[4:])))
	if id == idPrint && options&optionPrintk != 0 && options&optionMessageOnly != 0 && len(record) >= markSize {
		return append(dst, cString(record[markSize:])...)
	}
	e := i.registry.ByID(id)
	switch {
	case options&optionBinary != 0:
		return i.binaryLine(dst, tid, cpu, time, id)
	case options&optionHex != 0:
		return i.hexLine(dst, tid, cpu, time, id)
	case options&optionRaw != 0:
		return i.rawLine(dst, tid, cpu, time, e, record)
	}
	if options&optionContext != 0 {
		if options&optionLatency != 0 {
			dst = i.latencyContext(dst, tid, cpu, time, record)
		} else {
			dst = i.context(dst, tid, cpu, time, record)
		}
	}
	if e == nil {
		return fmt.Appendf(dst, "Unknown type %d\n", id)
	}
	return e.print(dst, record)
}

// context appends the thread, CPU, flags and time (Linux: trace_print_context).
func (i *Instance) context(dst []byte, tid, cpu int, time uint64, record []byte) []byte {
	dst = fmt.Appendf(dst, "%16s-%-7d ", i.registry.threads.name(tid), tid)
	if i.has(optionRecordTGID) {
		if tgid := i.registry.threads.tgid(tid); tgid != 0 {
			dst = fmt.Appendf(dst, "(%7d) ", tgid)
		} else {
			dst = append(dst, "(-------) "...)
		}
	}
	dst = fmt.Appendf(dst, "[%03d] ", cpu)
	if i.has(optionInterrupts) {
		dst = appendFlags(dst, record)
	}
	if i.currentClock().nanoseconds {
		dst = append(append(dst, ' '), seconds(time)...)
	} else {
		dst = fmt.Appendf(dst, " %12d", time)
	}
	return append(dst, ": "...)
}

// Bits of common_flags (Linux: enum trace_flag_type).
const (
	flagInterruptsOff = 1 << iota
	flagBottomHalvesOff
	flagNeedResched
	flagHardIRQ
	flagSoftIRQ
	flagPreemptResched
	flagNMI
)

// flagTexts are the characters for the flags: the first row whose bits are all set
// decides.
var flagTexts = [][]struct {
	bits byte
	text byte
}{
	{{flagInterruptsOff | flagBottomHalvesOff, 'D'}, {flagInterruptsOff, 'd'}, {flagBottomHalvesOff, 'b'}, {0, '.'}},
	{{flagNeedResched | flagPreemptResched, 'N'}, {flagNeedResched, 'n'}, {flagPreemptResched, 'p'}, {0, '.'}},
	{{flagNMI | flagHardIRQ, 'Z'}, {flagNMI, 'z'}, {flagHardIRQ | flagSoftIRQ, 'H'}, {flagHardIRQ, 'h'}, {flagSoftIRQ, 's'}, {0, '.'}},
}

// appendFlags appends common_flags and common_preempt_count as five characters (Linux:
// trace_print_lat_fmt).
func appendFlags(dst, record []byte) []byte {
	flags, count := record[2], record[3]
	for _, rows := range flagTexts {
		for _, row := range rows {
			if flags&row.bits == row.bits {
				dst = append(dst, row.text)
				break
			}
		}
	}
	return appendDepth(appendDepth(dst, count&0xf), count>>4)
}

func appendDepth(dst []byte, depth byte) []byte {
	if depth == 0 {
		return append(dst, '.')
	}
	return strconv.AppendUint(dst, uint64(depth), 16)
}

// latencyContext is context for the option latency-format (Linux:
// trace_print_lat_context, lat_print_timestamp). The mark for a long time until the next
// record is always the one for a short time.
func (i *Instance) latencyContext(dst []byte, tid, cpu int, time uint64, record []byte) []byte {
	comm, c := i.registry.threads.name(tid), i.currentClock()
	since := time - min(time, i.started.Load())
	if i.has(optionVerbose) {
		dst = fmt.Appendf(dst, "%16s %7d %3d %d %08x %08x ", comm, tid, cpu, record[2], record[3]&0xf, 0)
		if !c.nanoseconds {
			return fmt.Appendf(dst, "[%016x] %d (+0): ", time, since)
		}
		return fmt.Appendf(dst, "[%08x] %d.%03dms (+0.000ms): ", time/1000, since/1e6, since/1000%1000)
	}
	dst = fmt.Appendf(dst, "%8.8s-%-7d %3d", comm, tid, cpu)
	dst = appendFlags(dst, record)
	if !c.nanoseconds {
		return fmt.Appendf(dst, " %4d: ", since)
	}
	return fmt.Appendf(dst, " %4dus : ", since/1000)
}

// rawLine is line for the option raw (Linux: print_raw_fmt).
func (i *Instance) rawLine(dst []byte, tid, cpu int, time uint64, e *Event, record []byte) []byte {
	if i.has(optionContext) {
		dst = fmt.Appendf(dst, "%d %d %d ", tid, cpu, time)
	}
	switch {
	case e == nil:
		return fmt.Appendf(dst, "%d ?\n", binary.LittleEndian.Uint16(record))
	case e.id == idPrint && len(record) >= markSize:
		return fmt.Appendf(dst, "# %x %s", binary.LittleEndian.Uint64(record[CommonSize:]), cString(record[markSize:]))
	case e.id == idRawData:
		return printRawMark(dst, record)
	}
	return fmt.Appendf(dst, "type: %d\n", e.id)
}

// hexLine is line for the option hex (Linux: print_hex_fmt).
func (i *Instance) hexLine(dst []byte, tid, cpu int, time uint64, id int) []byte {
	if i.has(optionContext) {
		dst = fmt.Appendf(dst, "%08x %08x %016x ", uint32(tid), cpu, time)
	}
	return fmt.Appendf(dst, "type: %d\n\n", id)
}

// binaryLine is line for the option bin (Linux: print_bin_fmt).
func (i *Instance) binaryLine(dst []byte, tid, cpu int, time uint64, id int) []byte {
	if i.has(optionContext) {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(tid))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(cpu))
		dst = binary.LittleEndian.AppendUint64(dst, time)
	}
	return fmt.Appendf(dst, "type: %d\n", id)
}

// Header returns what precedes the records in the file trace of a CPU, or of all (Linux:
// trace_default_header).
func (i *Instance) Header(cpu int) []byte { return i.headerOf(i.ringsOf(cpu)) }

// headerOf is Header for rings of the instance or of its snapshot.
func (i *Instance) headerOf(rings []*ring) []byte {
	dst := []byte("# tracer: nop\n#\n")
	options := i.options.Load()
	entries, written := entriesOf(rings)
	switch {
	case options&optionContext == 0:
		return dst
	case options&optionLatency != 0:
		return i.latencyHeader(dst, entries, written)
	case options&optionVerbose != 0:
		return dst
	}
	dst = fmt.Appendf(dst, "# entries-in-buffer/entries-written: %d/%d   #P:%d\n#\n", entries, written, i.registry.config.CPUs)
	return append(dst, i.columns()...)
}

// columns returns the names of the columns.
func (i *Instance) columns() string {
	group, bar, shift := "", "", ""
	if i.has(optionRecordTGID) {
		group, bar, shift = "     TGID ", "       |  ", spaces(10)
	}
	if !i.has(optionInterrupts) {
		if group != "" {
			group, bar = "   TGID   ", "     |    "
		}
		return "#           TASK-PID    " + group + " CPU#     TIMESTAMP  FUNCTION\n" +
			"#              | |      " + bar + "   |         |         |\n"
	}
	return "#                              " + shift + "  _-----=> irqs-off/BH-disabled\n" +
		"#                              " + shift + " / _----=> need-resched\n" +
		"#                              " + shift + "| / _---=> hardirq/softirq\n" +
		"#                              " + shift + "|| / _--=> preempt-depth\n" +
		"#                              " + shift + "||| / _-=> migrate-disable\n" +
		"#                              " + shift + "|||| /     delay\n" +
		"#           TASK-PID  " + group + "   CPU#  |||||  TIMESTAMP  FUNCTION\n" +
		"#              | |    " + bar + "     |   |||||     |         |\n"
}

// latencyHeader is the header for the option latency-format. It is empty if there are no
// records.
func (i *Instance) latencyHeader(dst []byte, entries, written int64) []byte {
	if entries == 0 {
		return dst
	}
	dst = fmt.Appendf(dst, `# nop latency trace v1.1.5 on %s
# --------------------------------------------------------------------
# latency: 0 us, #%d/%d, CPU#0 | (M:preempt VP:0, KP:0, SP:0 HP:0 #P:%d)
#    -----------------
#    | task: -0 (uid:0 nice:0 policy:0 rt_prio:0)
#    -----------------
#
`, i.registry.config.Release, entries, written, i.registry.config.CPUs)
	if i.has(optionVerbose) {
		return dst
	}
	return append(dst, `#                    _------=> CPU#            
#                   / _-----=> irqs-off/BH-disabled
#                  | / _----=> need-resched    
#                  || / _---=> hardirq/softirq 
#                  ||| / _--=> preempt-depth   
#                  |||| / _-=> migrate-disable 
#                  ||||| /     delay           
#  cmd     pid     |||||| time  |   caller     
#     \   /        ||||||  \    |    /       
`...)
}
