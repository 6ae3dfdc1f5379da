package uart

// Registers of the 16550, as offsets from the base port (National
// Semiconductor PC16550D data sheet, table II).
const (
	regData             = 0 // receiver buffer, transmitter holding register
	regInterruptEnable  = 1
	regInterruptIdent   = 2 // read
	regFIFOControl      = 2 // write
	regLineControl      = 3
	regModemControl     = 4
	regLineStatus       = 5
	regModemStatus      = 6
	regDivisorLow       = 0 // while lineDivisorLatch is set
	regDivisorHigh      = 1
	interruptReceived   = 1 << 0
	interruptSent       = 1 << 1
	interruptLineStatus = 1 << 2

	fifoEnable        = 1 << 0
	fifoClearReceive  = 1 << 1
	fifoClearTransmit = 1 << 2
	fifoTrigger14     = 3 << 6

	lineEightBits    = 3
	lineDivisorLatch = 1 << 7

	modemDTR  = 1 << 0
	modemRTS  = 1 << 1
	modemOut2 = 1 << 3 // enables the interrupt line on a PC

	statusDataReady     = 1 << 0
	statusTransmitEmpty = 1 << 5

	fifoSize = 16
)
