import Foundation
import Testing

/// Writes under a key, sent again and again while leaders die. `REPEATS` sets how often.
@Suite(.serialized) struct RepeatedWriteTests {
    private static let repeats =
        ProcessInfo.processInfo.environment["REPEATS"].flatMap { Int($0) } ?? 1000

    private static func send(
        _ body: String, key: String, to node: Daemon, path: String = "/db/execute"
    ) async throws -> HTTPAnswer {
        try await OneShotHTTP(host: node.host, port: node.httpPort).send(
            "POST", path,
            headers: ["Content-Type: application/json", "Idempotency-Key: \(key)"],
            Data(body.utf8), timeout: 20)
    }

    @Test(.timeLimit(.minutes(15)))
    func `A write that is repeated under one key while leaders are killed makes one row`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let first = try await cluster.waitForAgreement()
        _ = try await first.client.execute(["CREATE TABLE t(id INTEGER PRIMARY KEY, a)"])
        let body = #"[["INSERT INTO t(a) VALUES(?)", "once"]]"#
        var answers: [String: Int] = [:]
        var replayed = 0
        for turn in 0..<Self.repeats {
            if turn % 30 == 10 {
                let leader = try await cluster.waitForAgreement()
                async let raced = Self.send(body, key: "k", to: leader)
                leader.kill()
                _ = try? await raced
                try leader.start()
            }
            let node = cluster.nodes[turn % 3]
            // What a client does that does not know what became of its request: it asks again.
            guard let answer = try? await Self.send(body, key: "k", to: node),
                answer.status == 200, let json = try? answer.json(), json["error"].string == nil
            else { continue }
            answers[answer.text, default: 0] += 1
            if answer.headers["idempotency-replayed"] == "true" { replayed += 1 }
        }
        let leader = try await cluster.waitForAgreement()
        let rows = try await leader.client.rows("SELECT count(*) FROM t", level: "linearizable")
        #expect(rows.first?[0].int == 1)
        #expect(
            answers.keys.sorted() == [#"{"results":[{"last_insert_id":1,"rows_affected":1}]}"#])
        #expect(replayed > Self.repeats / 2, "\(answers)")
        // Another body is refused, whoever leads now; a key of its own is another write.
        let other = try await Self.send(#"["DELETE FROM t"]"#, key: "k", to: cluster.nodes[0])
        #expect(other.status == 422, "\(other.text)")
        let fresh = try await Self.send(body, key: "l", to: cluster.nodes[1])
        #expect(fresh.status == 200)
        #expect(fresh.headers["idempotency-replayed"] == nil)
    }
}
