// Go's net and bufio: the floor of what a language runtime with green threads reaches.
//
// One send for each read batch: a writer is flushed when nothing more is buffered on the reading side.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

const readSize = 256 * 1024
const blockSize = 64 * 1024

func main() {
	mode, size := os.Args[1], 0
	if len(os.Args) > 2 {
		size, _ = strconv.Atoi(os.Args[2])
	}
	handlers := map[string]func(net.Conn){
		"echo":       echo,
		"exactly":    func(connection net.Conn) { exactly(connection, size) },
		"lines":      lines,
		"frames":     frames,
		"up":         up,
		"up-exactly": up,
		"down":       down,
	}
	handle, found := handlers[mode]
	if !found {
		fmt.Fprintln(os.Stderr, "no such mode:", mode)
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				handle(connection)
			}()
		}
	}()
	input := make([]byte, 1024)
	for {
		if _, err := os.Stdin.Read(input); err != nil {
			return
		}
		fmt.Println("{}")
	}
}

func echo(connection net.Conn) {
	chunk := make([]byte, readSize)
	for {
		count, err := connection.Read(chunk)
		if err != nil {
			return
		}
		if _, err := connection.Write(chunk[:count]); err != nil {
			return
		}
	}
}

func exactly(connection net.Conn, size int) {
	reader, message := bufio.NewReaderSize(connection, blockSize), make([]byte, size)
	for {
		if _, err := io.ReadFull(reader, message); err != nil {
			return
		}
		if _, err := connection.Write(message); err != nil {
			return
		}
	}
}

func lines(connection net.Conn) {
	reader, writer := bufio.NewReaderSize(connection, blockSize), bufio.NewWriterSize(connection, blockSize)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		writer.Write(line)
		if reader.Buffered() == 0 && writer.Flush() != nil {
			return
		}
	}
}

func frames(connection net.Conn) {
	reader, writer := bufio.NewReaderSize(connection, blockSize), bufio.NewWriterSize(connection, blockSize)
	head, body := make([]byte, 4), make([]byte, blockSize)
	for {
		if _, err := io.ReadFull(reader, head); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(head)
		if _, err := io.ReadFull(reader, body[:length]); err != nil {
			return
		}
		writer.Write(head)
		writer.Write(body[:length])
		if reader.Buffered() == 0 && writer.Flush() != nil {
			return
		}
	}
}

func up(connection net.Conn) {
	total, chunk := 0, make([]byte, blockSize)
	for {
		count, err := io.ReadFull(connection, chunk)
		total += count
		if err != nil {
			fmt.Fprintf(connection, "%d\n", total)
			return
		}
	}
}

func down(connection net.Conn) {
	block := make([]byte, blockSize)
	for i := range block {
		block[i] = 'x'
	}
	for {
		if _, err := connection.Write(block); err != nil {
			return
		}
	}
}
