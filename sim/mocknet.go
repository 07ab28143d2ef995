package sim

import "errors"

func newMocknetWire(*World) (carrier, error) { return nil, errors.New("sim: the mocknet wire is not built yet") }
