package import Wire

/// A message: cluster | from | to | term | u8 kind | body. The kinds are those of `Kind`.
extension Message {
    private enum Kind: UInt8 {
        case voteRequest = 1
        case voteAnswer = 2
        case appendEntries = 3
        case appendMatched = 4
        case appendMismatched = 5
        case timeoutNow = 6
        case termIsBehind = 7
    }

    package func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        from.encode(into: &writer)
        to.encode(into: &writer)
        term.encode(into: &writer)
        switch body {
        case .voteRequest(let request):
            writer.write(Kind.voteRequest.rawValue)
            writer.write(request.isPreVote)
            writer.write(request.isTransfer)
            request.lastLog.encode(into: &writer)
        case .voteAnswer(let answer):
            writer.write(Kind.voteAnswer.rawValue)
            writer.write(answer.isPreVote)
            writer.write(answer.granted)
        case .appendEntries(let append):
            writer.write(Kind.appendEntries.rawValue)
            append.previous.encode(into: &writer)
            append.commitIndex.encode(into: &writer)
            writer.write(append.round)
            writer.write(append.entries) { $1.encode(into: &$0) }
        case .appendAnswer(let answer):
            answer.encode(into: &writer)
        case .timeoutNow:
            writer.write(Kind.timeoutNow.rawValue)
        case .termIsBehind:
            writer.write(Kind.termIsBehind.rawValue)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let cluster = try ClusterID(from: &reader)
        let from = try NodeIdentity(from: &reader)
        let to = try NodeID(from: &reader)
        let term = try Term(from: &reader)
        let raw = try reader.readByte()
        let body: Body
        switch Kind(rawValue: raw) {
        case .voteRequest:
            body = .voteRequest(
                VoteRequest(
                    isPreVote: try reader.readBool(), isTransfer: try reader.readBool(),
                    lastLog: try LogPosition(from: &reader)))
        case .voteAnswer:
            body = .voteAnswer(
                VoteAnswer(isPreVote: try reader.readBool(), granted: try reader.readBool()))
        case .appendEntries:
            let previous = try LogPosition(from: &reader)
            let commitIndex = try LogIndex(from: &reader)
            let round: UInt64 = try reader.read()
            let entries = try reader.readList(elementSize: 17) { (r) throws(WireError) in
                try Entry(from: &r)
            }
            body = .appendEntries(
                AppendEntries(
                    previous: previous, entries: entries, commitIndex: commitIndex, round: round))
        case .appendMatched:
            body = .appendAnswer(
                AppendAnswer(
                    result: .matched(through: try LogIndex(from: &reader)),
                    round: try reader.read()))
        case .appendMismatched:
            body = .appendAnswer(
                AppendAnswer(
                    result: .mismatched(
                        previous: try LogIndex(from: &reader), hint: try LogPosition(from: &reader)),
                    round: try reader.read()))
        case .timeoutNow: body = .timeoutNow
        case .termIsBehind: body = .termIsBehind
        case nil: throw .invalid(field: "message kind", value: UInt64(raw))
        }
        self.init(cluster: cluster, from: from, to: to, term: term, body: body)
    }
}

extension Message.AppendAnswer {
    fileprivate func encode(into writer: inout ByteWriter) {
        switch result {
        case .matched(let through):
            writer.write(UInt8(4))
            through.encode(into: &writer)
        case .mismatched(let previous, let hint):
            writer.write(UInt8(5))
            previous.encode(into: &writer)
            hint.encode(into: &writer)
        }
        writer.write(round)
    }
}
