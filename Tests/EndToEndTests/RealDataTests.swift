import Foundation
import Synchronization
import Testing

/// Real data into a cluster whose nodes keep being killed: every row exactly once, everywhere.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct RealDataTests {
    private static let batchSize = 64
    private static let table = """
        CREATE TABLE packages(batch INTEGER, seq INTEGER, name TEXT, version TEXT, section TEXT,
        maintainer TEXT, size INTEGER, description TEXT, at DEFAULT CURRENT_TIMESTAMP,
        chance DEFAULT (random()))
        """

    @Test(.timeLimit(.minutes(10)))
    func `The Debian package index survives a kill -9 every two seconds`() async throws {
        let index = try PackageIndex.load()
        try #require(index.rows.count > 50_000)
        let (cluster, namespace) = try DNSClusterTests.cluster()
        defer { cluster.stop() }
        try cluster.start()
        let first = try await cluster.waitForAgreement()
        _ = try await first.client.execute([Self.table])

        let batches = stride(from: 0, to: index.rows.count, by: Self.batchSize).map {
            Array(index.rows[$0..<min($0 + Self.batchSize, index.rows.count)])
        }
        let loader = PackageLoader(cluster: cluster, batches: batches)
        let chaos = Chaos(cluster: cluster, loader: loader)
        async let kills = chaos.run()
        try await loader.run()
        let killed = try await kills
        #expect(killed.leaders >= 3 && killed.total >= 8, "\(killed)")
        print("kills: \(killed), unknown outcomes: \(loader.unknownOutcomes)")

        try await cluster.waitForAgreement(within: .seconds(60))
        try await compare(cluster, rowCount: index.rows.count)
        #expect(!namespace.name.isEmpty)
    }

    private func compare(_ cluster: TestCluster, rowCount: Int) async throws {
        for node in cluster.nodes {
            try await eventually("node \(node.id) holds every row", within: .seconds(60)) {
                let ready = try await node.client.get("/readyz?sync")
                return ready.status == 200 ? true : nil
            }
            let counts = try await node.client.rows(
                "SELECT count(*), count(DISTINCT batch * 1000 + seq) FROM packages", level: "none")
            #expect(counts[0][0].int == rowCount, "node \(node.id)")
            #expect(counts[0][1].int == rowCount, "node \(node.id)")
            let integrity = try await node.client.rows("PRAGMA integrity_check", level: "none")
            #expect(integrity.map { $0[0].string } == ["ok"])
        }
        let page = 5000
        for start in stride(from: 0, to: rowCount + page, by: page) {
            var pages: [Data] = []
            for node in cluster.nodes {
                let sql =
                    "SELECT rowid, * FROM packages WHERE rowid > \(start) AND rowid <= \(start + page)"
                let body = try JSONSerialization.data(withJSONObject: [sql])
                pages.append(
                    try await node.client.send("POST", "/db/query?level=none", body: body).body)
            }
            #expect(pages[0] == pages[1] && pages[1] == pages[2], "rows from \(start) differ")
        }
    }
}

/// Loads batches with two workers; where the outcome of a write is unknown it looks before it
/// sends again.
final class PackageLoader: Sendable {
    private let cluster: TestCluster
    private let batches: [[PackageIndex.Row]]
    private struct State {
        var next = 0
        var allowed = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
        var unknownOutcomes = 0
        var isDone = false
    }
    private let state = Mutex(State())

    init(cluster: TestCluster, batches: [[PackageIndex.Row]]) {
        self.cluster = cluster
        self.batches = batches
    }

    var unknownOutcomes: Int { state.withLock(\.unknownOutcomes) }
    var isDone: Bool { state.withLock(\.isDone) }

    /// The load is dealt out between the kills, so that it lasts as long as they do.
    func allow(share: Double) {
        let waiting = state.withLock { state in
            state.allowed += Int(Double(batches.count) * share) + 1
            defer { state.waiting = [] }
            return state.waiting
        }
        for worker in waiting { worker.resume() }
    }

    func run() async throws {
        defer { state.withLock { $0.isDone = true } }
        try await withThrowingTaskGroup { group in
            for worker in 0..<2 { group.addTask { try await self.work(worker) } }
            try await group.waitForAll()
        }
    }

    private func work(_ worker: Int) async throws {
        while let number = await nextBatch() {
            try await load(number, preferring: worker)
        }
    }

    private func nextBatch() async -> Int? {
        while true {
            let take: Int?? = state.withLock { state in
                if state.next >= batches.count { return .some(nil) }
                guard state.next < state.allowed else { return nil }
                state.next += 1
                return state.next - 1
            }
            if let take { return take }
            await withCheckedContinuation { continuation in
                let mayGo = state.withLock { state in
                    guard state.next >= state.allowed else { return true }
                    state.waiting.append(continuation)
                    return false
                }
                if mayGo { continuation.resume() }
            }
        }
    }

    private func load(_ number: Int, preferring worker: Int) async throws {
        var missing = Array(batches[number].indices)
        var turn = number + worker
        while !missing.isEmpty {
            let node = cluster.nodes[turn % cluster.nodes.count]
            turn += 1
            let term = await highestTerm()
            do {
                let body = try JSONSerialization.data(
                    withJSONObject: missing.map { statement(number, $0) })
                let answer = try await OneShotHTTP(host: node.host, port: node.httpPort).post(
                    "/db/execute?transaction&timeout=5s", body, timeout: 8)
                // Refused before anything was done.
                if answer.status == 503 { continue }
                let result = try answer.json()
                let done = result["results"].array ?? []
                if result["error"].string == nil, done.count == missing.count,
                    done.allSatisfy({ $0["rows_affected"].int == 1 })
                {
                    return
                }
            } catch OneShotHTTP.Failure.notSent {
                continue
            } catch OneShotHTTP.Failure.noAnswer {
                // What became of it is looked up below.
            }
            state.withLock { $0.unknownOutcomes += 1 }
            let present = try await presentRows(of: number, afterTerm: term)
            missing = batches[number].indices.filter { !present.contains($0) }
        }
    }

    private func statement(_ number: Int, _ position: Int) -> [any Sendable] {
        let row = batches[number][position]
        return [
            """
            INSERT INTO packages(batch, seq, name, version, section, maintainer, size, description)
            VALUES(?,?,?,?,?,?,?,?)
            """,
            number, position, row.name, row.version, row.section, row.maintainer, row.size,
            row.description,
        ]
    }

    /// The rows of a batch as a leader of a later term sees them: what was on its way under an
    /// earlier leader is either in that leader's log or gone for good.
    private func presentRows(of number: Int, afterTerm term: Int) async throws -> Set<Int> {
        try await eventually(
            "a leader of a term after \(term) answers", within: .seconds(90),
            every: .milliseconds(50)
        ) {
            for node in self.cluster.nodes {
                guard let before = try? await self.leaderTerm(of: node), before > term else {
                    continue
                }
                let sql = "SELECT seq FROM packages WHERE batch = \(number)"
                let body = try JSONSerialization.data(withJSONObject: [sql])
                guard
                    let answer = try? await node.client.send(
                        "POST", "/db/query?level=linearizable&redirect&timeout=3s", body: body,
                        timeout: .seconds(5)),
                    answer.status == 200,
                    let result = try? answer.json(), result["error"].string == nil,
                    result["results"][0]["error"].string == nil,
                    let after = try? await self.leaderTerm(of: node), after == before
                else { continue }
                let values = result["results"][0]["values"].array ?? []
                return Set(values.compactMap { $0[0].int })
            }
            return nil
        }
    }

    /// The node's term if it leads.
    private func leaderTerm(of node: Daemon) async throws -> Int? {
        let raft = try await node.client.get("/status?key=store.raft", timeout: .seconds(2)).json()
        return raft["state"].string == "Leader" ? raft["term"].int : nil
    }

    private func highestTerm() async -> Int {
        var highest = 0
        for node in cluster.nodes {
            guard
                let raft = try? await node.client.get(
                    "/status?key=store.raft", timeout: .seconds(2)
                ).json(),
                let term = raft["term"].int
            else { continue }
            highest = max(highest, term)
        }
        return highest
    }
}

/// Kills a node every two seconds, every other time the leader, and starts it again.
struct Chaos {
    struct Toll: Sendable {
        var total = 0
        var leaders = 0
    }

    var cluster: TestCluster
    var loader: PackageLoader

    func run() async throws -> Toll {
        var toll = Toll()
        let clock = ContinuousClock()
        var next = clock.now
        while !loader.isDone {
            loader.allow(share: 1.0 / 10)
            let leader = await findLeader()
            let wantsLeader = toll.total % 2 == 0
            let victim =
                wantsLeader
                ? leader : cluster.nodes.filter { $0.id != leader?.id }.randomElement()
            if let victim {
                victim.kill()
                toll.total += 1
                if wantsLeader { toll.leaders += 1 }
                try victim.start()
            }
            next += .seconds(2)
            try await eventually("two seconds have passed", within: .seconds(5)) {
                clock.now >= next || self.loader.isDone ? true : nil
            }
        }
        return toll
    }

    private func findLeader() async -> Daemon? {
        for node in cluster.nodes {
            let state = try? await node.client.get(
                "/status?key=store.raft.state", timeout: .seconds(1)
            ).json()
            if state?.string == "Leader" { return node }
        }
        return nil
    }
}
