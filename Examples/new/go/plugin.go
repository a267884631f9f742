// SPDX-License-Identifier: MIT

// The mode "@NAME@": answers with the nodes that its configuration lists.
//
//	-disco-mode @NAME@ -disco-config '{"nodes": "10.0.0.7:4002 10.0.0.8"}'
//
// Change resolve. Go's runtime installs signal handlers, so a plugin in Go runs in a process of its own,
// which rqlited sees to; glue.c has the tables of the interface.
package main

/*
#include <stdint.h>
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// errConfig marks what only the operator can put right.
var errConfig = errors.New("configuration")

// resolve gives "host:port" or "host", each in a line. ctx ends at the deadline, or when rqlited gives the
// call up.
func resolve(ctx context.Context, nodes string) ([]string, error) {
	words := strings.FieldsFunc(nodes, func(r rune) bool { return r == ' ' || r == ',' })
	return words, ctx.Err()
}

// check is what create asks.
func check(nodes string) error {
	words, err := resolve(context.Background(), nodes)
	if err != nil {
		return err
	}
	for _, word := range words {
		if net.ParseIP(word) != nil || !strings.Contains(word, ":") {
			continue
		}
		_, port, err := net.SplitHostPort(word)
		if err == nil {
			var number uint64
			number, err = strconv.ParseUint(port, 10, 16)
			if number == 0 && err == nil {
				err = errConfig
			}
		}
		if err != nil {
			return fmt.Errorf("nodes: %s is not host[:port]", word)
		}
	}
	return nil
}

//export goCheck
func goCheck(nodes *C.char, out *C.char, room C.int) C.int {
	if err := check(C.GoString(nodes)); err != nil {
		return put(err.Error(), out, room, 3)
	}
	return 0
}

//export goResolve
func goResolve(nodes *C.char, nanoseconds C.uint64_t, cancel C.int, out *C.char, room C.int) C.int {
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(nanoseconds))
	defer stop()
	go watch(ctx, int(cancel), stop)
	found, err := resolve(ctx, C.GoString(nodes))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return put(err.Error(), out, room, 6)
	case errors.Is(err, context.Canceled):
		return put(err.Error(), out, room, 7)
	case err != nil:
		return put(err.Error(), out, room, 4)
	}
	return put(strings.Join(found, "\n"), out, room, 0)
}

// watch ends the context when the descriptor becomes readable.
func watch(ctx context.Context, descriptor int, stop context.CancelFunc) {
	for ctx.Err() == nil {
		var set syscall.FdSet
		set.Bits[descriptor/64] |= 1 << (uint(descriptor) % 64)
		count, err := syscall.Select(descriptor+1, &set, nil, nil, &syscall.Timeval{Usec: 20000})
		if count > 0 {
			stop()
		}
		if err != nil && err != syscall.EINTR {
			return
		}
	}
}

// put writes a text, cut to what there is room for, and returns the code.
func put(text string, out *C.char, room C.int, code C.int) C.int {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(out)), int(room))
	if len(text) > len(bytes)-1 {
		text = text[:len(bytes)-1]
	}
	copy(bytes, text)
	bytes[len(text)] = 0
	return code
}

func main() {}
