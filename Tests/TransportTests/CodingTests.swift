import Chance
import PeerProtocol
import Raft
import Rights
import Service
import Testing
import Transport
import Wire

/// What travels survives the journey, and damaged bytes are errors, never crashes.
@Suite struct CodingTests {
    private func bytes(_ encode: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        encode(&writer)
        return writer.bytes
    }

    /// Every encoding with the decoder that must take it.
    private func all() -> [(bytes: [UInt8], decode: (inout ByteReader) throws -> Void)] {
        var all: [(bytes: [UInt8], decode: (inout ByteReader) throws -> Void)] = []
        for request in Samples.requests {
            all.append((bytes { request.encode(into: &$0) }, { _ = try PeerRequest(from: &$0) }))
        }
        for answer in Samples.answers {
            all.append((bytes { answer.encode(into: &$0) }, { _ = try PeerAnswer(from: &$0) }))
        }
        for operation in Samples.operations {
            let request = ClientRequest(id: RequestID(1), operation: operation)
            all.append(
                (
                    bytes { request.encode(into: &$0, id: request.id) },
                    { _ = try ClientRequest(from: &$0) }
                ))
        }
        for outcome in Samples.outcomes {
            let reply = Reply(id: RequestID(1), outcome: outcome, servedBy: PeerAddress("h:1"))
            all.append((bytes { reply.encode(into: &$0) }, { _ = try Reply(from: &$0) }))
        }
        all.append(
            (bytes { Samples.offer.encode(into: &$0) }, { _ = try SnapshotOffer(from: &$0) }))
        return all
    }

    @Test(arguments: Samples.requests)
    func `A question survives encoding`(request: PeerRequest) throws {
        var reader = ByteReader(bytes { request.encode(into: &$0) })
        #expect(try PeerRequest(from: &reader) == request)
        #expect(reader.isAtEnd)
    }

    @Test(arguments: Samples.answers)
    func `An answer survives encoding`(answer: PeerAnswer) throws {
        var reader = ByteReader(bytes { answer.encode(into: &$0) })
        #expect(try PeerAnswer(from: &reader) == answer)
        #expect(reader.isAtEnd)
    }

    /// Nodes of the same minor version were built before hellos said it.
    @Test func `A hello says what is committed, and one that does not is read all the same`() throws
    {
        var hello = Samples.hello
        hello.callerAcknowledged = LogPosition(index: LogIndex(98), term: Term(3))
        hello.committed = LogPosition(index: LogIndex(99), term: Term(4))
        let answer = PeerAnswer.hello(hello)
        let whole = bytes { answer.encode(into: &$0) }
        var reader = ByteReader(whole)
        #expect(try PeerAnswer(from: &reader) == answer)
        #expect(reader.isAtEnd)
        hello.committed = nil
        // A flag, and 8 bytes each of index and term.
        var earlier = ByteReader(Array(whole.dropLast(17)))
        #expect(try PeerAnswer(from: &earlier) == .hello(hello))
    }

    @Test func `A snapshot offer survives encoding`() throws {
        var reader = ByteReader(bytes { Samples.offer.encode(into: &$0) })
        #expect(try SnapshotOffer(from: &reader) == Samples.offer)
    }

    @Test func `A client's request survives encoding under another ID`() throws {
        for operation in Samples.operations {
            let request = ClientRequest(
                id: RequestID(1), operation: operation, forward: false,
                timeout: .milliseconds(1234))
            var reader = ByteReader(bytes { request.encode(into: &$0, id: RequestID(900)) })
            let decoded = try ClientRequest(from: &reader)
            #expect(reader.isAtEnd)
            #expect(decoded.id == RequestID(900))
            #expect(!decoded.forward)
            #expect(decoded.timeout == .milliseconds(1234))
            #expect("\(decoded.operation)" == "\(operation)")
        }
    }

    @Test(arguments: [Credential.none, .token("t")])
    func `What a read must have seen, and what a reply has, survive encoding`(
        credential: Credential
    ) throws {
        let mark = CommitMark(cluster: Samples.cluster, epoch: 5, index: LogIndex(6))
        for (demand, unless) in [
            (CommitDemand.index(LogIndex(3)), nil), (.mark(mark), mark), (nil, mark),
        ] as [(CommitDemand?, CommitMark?)] {
            var options = ReadOptions(level: .none)
            options.demand = demand
            options.unless = unless
            let command = Command(kind: .query, statements: [Statement("x")])
            let request = ClientRequest(
                id: RequestID(1), operation: .command(command, options), credential: credential)
            var reader = ByteReader(bytes { request.encode(into: &$0, id: RequestID(1)) })
            let decoded = try ClientRequest(from: &reader)
            #expect(reader.isAtEnd)
            #expect(decoded.operation.readOptions == options)
            #expect(decoded.credential == credential)
        }
        let reply = Reply(
            id: RequestID(8), outcome: .unchanged, sight: ReadSight(mark, isExact: true))
        var reader = ByteReader(bytes { reply.encode(into: &$0) })
        #expect(try Reply(from: &reader).sight == reply.sight)
        #expect(CommitMark(mark.description) == mark)
    }

    @Test func `A mark is written in decimal digits, whatever its numbers are`() {
        let numbers: [UInt64] = [0, 1, 9, 10, 11, 99, 100, 1 << 32, .max / 10, .max - 1, .max]
        for epoch in numbers {
            for index in numbers {
                let mark = CommitMark(
                    cluster: Samples.cluster, epoch: epoch, index: LogIndex(index))
                #expect(mark.description == "\(Samples.cluster)-\(epoch)-\(index)")
                #expect(CommitMark(mark.description) == mark)
            }
        }
    }

    @Test func `A reply survives encoding`() throws {
        for outcome in Samples.outcomes {
            let reply = Reply(id: RequestID(8), outcome: outcome, servedBy: PeerAddress("h:1"))
            var reader = ByteReader(bytes { reply.encode(into: &$0) })
            let decoded = try Reply(from: &reader)
            #expect(reader.isAtEnd)
            #expect("\(decoded)" == "\(reply)")
        }
    }

    @Test func `Durations beyond 292 years are cut, not wrapped`() throws {
        var request = ClientRequest(id: RequestID(1), operation: .leader)
        for (timeout, expected) in [
            (Duration.seconds(1 << 60), Int64.max), (.seconds(-(1 << 60)), Int64.min),
        ] {
            request.timeout = timeout
            var reader = ByteReader(bytes { request.encode(into: &$0, id: request.id) })
            #expect(try ClientRequest(from: &reader).timeout == .nanoseconds(expected))
        }
    }

    @Test func `Every truncation is an error`() {
        for (bytes, decode) in all() {
            for length in 0..<bytes.count where !isWhole(bytes[..<length], of: bytes) {
                #expect(throws: WireError.self) {
                    var reader = ByteReader(bytes, in: 0..<length)
                    try decode(&reader)
                }
            }
        }
    }

    /// What older nodes say ends earlier: optional fields follow, none of them set in the samples.
    private func isWhole(_ part: ArraySlice<UInt8>, of bytes: [UInt8]) -> Bool {
        let missing = bytes.count - part.count
        let ends = PeerAnswer.hello(Samples.hello)
        if bytes == self.bytes({ ends.encode(into: &$0) }) { return [1, 2, 4].contains(missing) }
        let joins = Samples.requests.filter { if case .join = $0 { true } else { false } }
        let endsOnce =
            bytes == self.bytes { Samples.offer.encode(into: &$0) }
            || joins.contains { join in bytes == self.bytes { join.encode(into: &$0) } }
        return endsOnce && missing == 1
    }

    /// Any result is fine, as long as there is one.
    @Test func `Damaged bytes never crash a decoder`() {
        var random = SplitMix64(seed: 42)
        var errors = 0
        for (bytes, decode) in all() {
            for _ in 0..<300 {
                var damaged = bytes
                for _ in 0...random.next() % 3 {
                    let place = Int(random.next() % UInt64(damaged.count))
                    damaged[place] = UInt8(truncatingIfNeeded: random.next())
                }
                var reader = ByteReader(damaged)
                do { try decode(&reader) } catch { errors += 1 }
            }
        }
        #expect(errors > 100)
    }

    @Test func `A question of an unknown kind is told from a damaged one`() throws {
        var reader = ByteReader([200, 1, 2])
        #expect(try PeerRequest(from: &reader) == nil)
    }
}
