import Settings

/// Command lines; the arguments stand in lines. What is refused is said in one line.
extension FuzzTarget {
    static let flags = FuzzTarget(name: "flags", largestInput: 4096) { bytes throws(Complaint) in
        let arguments = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        let invocation = Invocation.parse(arguments, workingDirectory: "/work")
        let again = Invocation.parse(arguments, workingDirectory: "/work")
        try Complaint.unless(invocation == again, "\(arguments) mean two things")
        if case .failure(let text, let code) = invocation {
            try Complaint.unless(
                !text.isEmpty && !text.utf8.contains(UInt8(ascii: "\n")) && code != 0,
                "refused with \(code): \(text)")
        }
    } seeds: {
        let lines = [
            ["-node-id", "1", "-http-addr=localhost:4001", "--raft-addr", "[::1]:4002", "data"],
            ["-bootstrap-expect=3", "-join", "h1:4002,h2:4002", "-join-interval=3s", "data"],
            ["-disco-mode=dns", "-disco-config={\"name\":\"h\"}", "-disco-key", "k", "data"],
            ["-raft-heartbeat-timeout=1h30m", "-raft-snap=8192", "-fk", "data"],
            ["-http-cert=c", "-http-key=k", "-auth=a.json", "-node-verify-client", "data"],
            ["recover", "data", "-make-voter-of-one"], ["disco", "list"], ["auth", "hash"],
            ["secret"], ["-version"], ["-h"], ["help"],
        ]
        return lines.enumerated().map {
            FuzzSeed("line-\($0)", Array($1.joined(separator: "\n").utf8))
        }
    }
}
