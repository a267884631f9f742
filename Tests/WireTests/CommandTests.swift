import Testing
import Wire

/// The encodings that stand in the log and on the wire.
@Suite struct CommandTests {
    private let command = Command(
        kind: .request,
        statements: [
            Statement("SELECT 1"),
            Statement(
                "INSERT INTO t VALUES(?, :a)",
                positional: [.null, .integer(-7), .real(0.5), .text("ü"), .blob([0, 255])],
                named: [.init(name: "a", value: .integer(1))]),
        ],
        transaction: true, qualifyColumns: true, stamp: Stamp(milliseconds: 12, seed: 34))

    @Test func `Parts of a load, and their end, are read as written, and take a stamp`() throws {
        let id = LoadID(high: 5, low: .max)
        var part = LoadPart(id: id, number: 3, byteCount: 1 << 33, bytes: [1, 2, 3])
        var end = LoadEnd(id: id, action: .replace, onlyEmpty: true, parts: 4, byteCount: 1 << 33)
        var bytes = [LogCommand.loadPart(part).encoded(), LogCommand.loadEnd(end).encoded()]
        #expect(try LogCommand(decoding: bytes[0]) == .loadPart(part))
        #expect(try LogCommand(decoding: bytes[1]) == .loadEnd(end))
        for place in bytes.indices { LogCommand.stamp(&bytes[place], milliseconds: 99, seed: 77) }
        part.stamp = Stamp(milliseconds: 99, seed: 77)
        end.stamp = part.stamp
        #expect(try LogCommand(decoding: bytes[0]) == .loadPart(part))
        #expect(try LogCommand(decoding: bytes[1]) == .loadEnd(end))
        for encoded in bytes {
            for count in 0..<encoded.count {
                #expect(throws: WireError.self) {
                    try LogCommand(decoding: Array(encoded.prefix(count)))
                }
            }
            var other = encoded
            other[3] = 2
            #expect(throws: WireError.self) { try LogCommand(decoding: other) }
        }
    }

    @Test func `Only a command takes a stamp, and no bytes are written beyond their end`() throws {
        var bytes = LogCommand.command(command).encoded()
        LogCommand.stamp(&bytes, milliseconds: 99, seed: 77)
        var stamped = command
        stamped.stamp = Stamp(milliseconds: 99, seed: 77)
        #expect(try LogCommand(decoding: bytes) == .command(stamped))
        let settings = LogCommand.settings(ClusterSettings(foreignKeys: true)).encoded()
        for short in [settings, [], [1], [1, 1], Array(bytes.prefix(19))] as [[UInt8]] {
            var copy = short
            LogCommand.stamp(&copy, milliseconds: -1, seed: .max)
            #expect(copy == short)
        }
        var least = Array(bytes.prefix(20))
        LogCommand.stamp(&least, milliseconds: -1, seed: .max)
        #expect(least.suffix(16).allSatisfy { $0 == 255 })
    }

    @Test func `A command survives encoding`() throws {
        let bytes = LogCommand.command(command).encoded()
        #expect(try LogCommand(decoding: bytes) == .command(command))
    }

    @Test func `The stamp of an encoded command stands at the stated offset`() {
        let bytes = LogCommand.command(command).encoded()
        var reader = ByteReader(bytes, in: LogCommand.stampOffset..<bytes.count)
        #expect((try? reader.read(Int64.self)) == 12)
        #expect((try? reader.read(UInt64.self)) == 34)
    }

    @Test func `Only commands are stamped, within their own bytes`() {
        for content in [LogCommand.command(command), .settings(ClusterSettings(foreignKeys: true))]
        {
            let before = content.encoded()
            for length in 0...before.count {
                var bytes = Array(before[..<length])
                LogCommand.stamp(&bytes, milliseconds: 56, seed: 78)
                #expect(bytes.count == length)
                guard case .command = content, length >= LogCommand.stampOffset + 16 else {
                    #expect(bytes == Array(before[..<length]))
                    continue
                }
                #expect(bytes != Array(before[..<length]))
            }
        }
    }

    @Test func `Every truncation of a command is refused`() {
        let bytes = LogCommand.command(command).encoded()
        for length in 0..<bytes.count {
            #expect(throws: WireError.self) {
                try LogCommand(decoding: Array(bytes[..<length]))
            }
        }
    }

    @Test func `A newer format names both versions`() {
        #expect(throws: WireError.unsupportedVersion(found: 9, supported: 1)) {
            try LogCommand(decoding: [9, 1])
        }
    }

    @Test func `A count beyond the input is refused before allocation`() {
        var writer = ByteWriter()
        writer.writeCount(1 << 31)
        var reader = ByteReader(writer.bytes)
        #expect(throws: WireError.tooLong(count: 1 << 31, limit: 0)) { try reader.readBytes() }
    }

    @Test func `A result survives encoding`() throws {
        let result = CommandResult(
            [
                StatementResult(.changed(lastInsertID: 1, rowsAffected: 2), nanoseconds: 5),
                StatementResult(
                    .rows(RowSet(columns: ["a"], types: ["integer"], rowCount: 1, cells: [0])),
                    isRead: true),
                StatementResult(.empty), StatementResult(.failed("no such table: x")),
            ], error: nil, logIndex: 9)
        var writer = ByteWriter()
        result.encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try CommandResult(from: &reader) == result)
        #expect(reader.isAtEnd)
    }

    @Test func `Rows of which the cells can't be there are refused`() {
        for (columns, count, isTaken) in [
            (0, 0, true), (0, 3, false), (1, 3, true), (1, 4, false), (2, 1, true), (2, 2, false),
        ] {
            let names = [String](repeating: "a", count: columns)
            var writer = ByteWriter()
            RowSet(columns: names, types: names, rowCount: count, cells: [0, 0, 0])
                .encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            var wasTaken = true
            do throws(WireError) { _ = try RowSet(from: &reader) } catch { wasTaken = false }
            #expect(wasTaken == isTaken, "\(count) rows of \(columns) columns")
        }
    }
}

@Suite struct CRC32CTests {
    // Values of RFC 3720 appendix B.4.
    @Test(
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E),
            (Array("123456789".utf8), 0xE306_9283),
        ] as [([UInt8], UInt32)])
    func `The checksum equals the published values`(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C(bytes).value == expected)
    }

    @Test func `Pieces give the same checksum as the whole`() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        var pieces = CRC32C()
        for start in stride(from: 0, to: 1000, by: 13) {
            pieces.update(bytes[start..<min(1000, start + 13)])
        }
        #expect(pieces.value == CRC32C(bytes).value)
    }
}

@Suite struct WriteLimitsCodingTests {
    @Test(arguments: [
        LogCommand.limits(WriteLimitsChange()),
        .limits(WriteLimitsChange(steps: 1, growth: .max, database: 0, temporary: 7)),
        .limits(WriteLimitsChange(database: 5)),
        .skip(EntrySkip(index: .max, hash: 0xDEAD_BEEF)),
        .skip(EntrySkip(index: 1, hash: 0, place: StatementPlace(text: 3, offset: 400_000_000))),
        .checksum(ChecksumMarker()),
        .checksum(
            ChecksumMarker(
                tracing: .restart,
                piece: ScrubCursor(table: [0x74, 0xFF], passed: .max, key: [1, 2, 3]))),
        .settings(ClusterSettings(foreignKeys: true)),
    ])
    func `What the log says of limits, skips and checksums survives coding`(command: LogCommand)
        throws
    {
        let bytes = command.encoded()
        #expect(try LogCommand(decoding: bytes) == command)
        for count in 0..<bytes.count {
            #expect(throws: WireError.self) {
                try LogCommand(decoding: Array(bytes.prefix(count)))
            }
        }
        #expect(throws: WireError.self) { try LogCommand(decoding: bytes + [0]) }
    }

    @Test func `A limit that is not known is an error, not left out`() {
        let bytes: [UInt8] = [1, 3, 1, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0]
        #expect(throws: WireError.invalid(field: "write limit", value: 9)) {
            try LogCommand(decoding: bytes)
        }
    }

    @Test func `No change takes a limit below the least, and what it doesn't name stays`() {
        let limits = WriteLimits.initial.applying(WriteLimitsChange(steps: 0, growth: 5 << 30))
        #expect(limits.steps == WriteLimits.least.steps)
        #expect(limits.growth == 5 << 30)
        #expect(limits.temporary == WriteLimits.initial.temporary)
        #expect(limits.applying(limits.all) == limits)
    }
}
