import Rights
import Telemetry
import Testing
import Threads
import Time

@testable import Credentials

/// The judge: what it answers at once, what later, and what it remembers.
@Suite struct CredentialJudgeTests {
    private struct Bench {
        let store: CredentialJudge
        let metrics = MetricRegistry()

        init(_ text: String) throws {
            store = try CredentialJudge(
                CredentialTable(parsing: Array(text.utf8)), metrics: metrics,
                logger: Logger(module: "test", threshold: nil))
        }

        func ask(
            _ credential: Credential, _ need: RightsNeed = RightsNeed([.query]),
            from address: String = "10.0.0.1:1"
        ) throws -> Bool {
            let later = Mailbox<Bool>()
            let verdict = store.judge(
                credential, need, for: Asker(address: address)
            ) { later.post($0) }
            if let verdict { return verdict == .granted }
            let answers = later.take(until: .now + .seconds(60))
            try #require(answers.count == 1)
            return answers[0]
        }

        /// What is answered at once, after those who wait for the same have their verdicts.
        func askKnown(_ credential: Credential, _ need: RightsNeed) throws -> Bool {
            let deadline = MonotonicTime.now + .seconds(60)
            while MonotonicTime.now < deadline {
                let later = Mailbox<Bool>()
                let verdict = store.judge(credential, need, for: Asker(address: "")) {
                    later.post($0)
                }
                if let verdict { return verdict == .granted }
                _ = later.take(until: deadline)
            }
            throw NotKnown()
        }

        struct NotKnown: Error {}
    }

    private final class Lines: LogSink {
        let lines = Mailbox<String>()

        func write(_ line: [UInt8]) { lines.post(String(decoding: line, as: UTF8.self)) }
    }

    @Test func `How often a burst of refusals came is said when it is over`() throws {
        let sink = Lines()
        let judge = try CredentialJudge(
            CredentialTable(parsing: Array("[\(Self.entry("a", "p"))]".utf8)),
            metrics: MetricRegistry(), logger: Logger(module: "test", sink: sink),
            repeats: RepeatLimiter(interval: .seconds(2)))
        defer { judge.stop() }
        let verdicts = Mailbox<Bool>()
        for guess in 0..<3 {
            let verdict = judge.judge(
                .password(user: "a", password: "wrong\(guess)"), RightsNeed([.query]),
                for: Asker(address: "10.0.0.1:1")
            ) { verdicts.post($0) }
            if let verdict { verdicts.post(verdict == .granted) }
        }
        var lines: [String] = []
        let deadline = MonotonicTime.now + .seconds(60)
        while !lines.contains(where: { $0.contains("repeats=2") }), MonotonicTime.now < deadline {
            lines += sink.lines.take(until: deadline)
        }
        #expect(lines.first?.contains("a credential was refused") == true, "\(lines)")
        #expect(lines.count == 2 && lines.last?.contains("repeats=2") == true, "\(lines)")
    }

    private static func entry(_ user: String, _ password: String) -> String {
        #"{"username": "\#(user)", "password": "\#(password)", "perms": ["query"]}"#
    }

    private static func hashed(_ user: String, _ password: String) throws -> String {
        let hash = try PasswordHash.make(password, .sha256)
        return #"{"username": "\#(user)", "hash": "\#(hash)", "perms": ["query"]}"#
    }

    @Test func `What everybody may needs no credential, and a wrong one does no harm`() throws {
        let bench = try Bench(#"[{"username": "*", "perms": ["query"]}]"#)
        #expect(try bench.ask(.none))
        #expect(try bench.ask(.password(user: "nobody", password: "wrong")))
        #expect(try !bench.ask(.none, RightsNeed([.execute])))
    }

    @Test func `An empty file lets nobody do anything`() throws {
        let bench = try Bench("[]")
        for permission in Permission.allCases {
            #expect(try !bench.ask(.none, RightsNeed([permission])))
            #expect(
                try !bench.ask(.password(user: "", password: ""), RightsNeed([permission])))
        }
    }

    @Test func `A credential is verified once, and once more after a reload`() throws {
        let bench = try Bench("[\(try Self.hashed("a", "p"))]")
        let right = Credential.password(user: "a", password: "p")
        #expect(
            bench.store.judge(right, RightsNeed([.query]), for: Asker(address: "")) { _ in } == nil)
        #expect(try bench.ask(right))
        // Known now: the answer comes at once.
        #expect(try bench.askKnown(right, RightsNeed([.query])))
        #expect(try !bench.askKnown(right, RightsNeed([.execute])))
        bench.store.replace(
            try CredentialTable(parsing: Array("[\(try Self.hashed("a", "q"))]".utf8)))
        #expect(try !bench.ask(right))
        #expect(try bench.ask(.password(user: "a", password: "q")))
    }

    @Test func `Whose a credential is, is known once it was verified, until a reload`() throws {
        let bench = try Bench("[\(try Self.hashed("a", "p"))]")
        let right = Credential.password(user: "a", password: "p")
        let wrong = Credential.password(user: "a", password: "q")
        #expect(bench.store.principal(of: right) == nil)
        #expect(try bench.ask(right))
        #expect(try !bench.ask(wrong))
        #expect(bench.store.principal(of: right) == "user a")
        #expect(bench.store.principal(of: wrong) == nil)
        #expect(bench.store.principal(of: .none) == nil)
        bench.store.replace(
            try CredentialTable(parsing: Array(#"[{"username": "*", "perms": ["query"]}]"#.utf8)))
        // Everybody may now, and nobody looks who it is.
        #expect(try bench.ask(right))
        #expect(bench.store.principal(of: right) == nil)
    }

    @Test(arguments: [["\u{E9}", "e\u{301}"], ["e\u{301}", "\u{E9}"]])
    func `A password in another form of its letters is another one, known or not`(
        forms: [String]
    ) throws {
        let bench = try Bench("[\(try Self.hashed("a", forms[0]))]")
        let right = Credential.password(user: "a", password: forms[0])
        let other = Credential.password(user: "a", password: forms[1])
        // Behind the wrong one, which has a verdict of its own.
        let verdicts = Mailbox<Bool>()
        for credential in [other, right] {
            #expect(
                bench.store.judge(
                    credential, RightsNeed([.query]), for: Asker(address: "")
                ) { verdicts.post($0) } == nil)
        }
        var heard: [Bool] = []
        let deadline = MonotonicTime.now + .seconds(60)
        while heard.count < 2, MonotonicTime.now < deadline {
            heard += verdicts.take(until: deadline)
        }
        #expect(heard.sorted { !$0 && $1 } == [false, true])
        #expect(try bench.askKnown(right, RightsNeed([.query])))
        #expect(try !bench.ask(other))
    }

    @Test func `Requests with one credential get their verdicts in their order`() throws {
        let bench = try Bench("[\(try Self.hashed("a", "p"))]")
        let order = Mailbox<Int>()
        let right = Credential.password(user: "a", password: "p")
        for number in 0..<200 {
            let verdict = bench.store.judge(
                right, RightsNeed([.query]), for: Asker(address: "")
            ) { _ in order.post(number) }
            if verdict != nil { order.post(number) }
        }
        var seen: [Int] = []
        let deadline = MonotonicTime.now + .seconds(60)
        while seen.count < 200, MonotonicTime.now < deadline { seen += order.take(until: deadline) }
        #expect(seen == Array(0..<200))
    }

    @Test func `Many guesses from an address are slowed, and a right credential is accepted`()
        throws
    {
        let bench = try Bench("[\(Self.entry("a", "p")), \(Self.entry("b", "q"))]")
        // Known before the guesses begin.
        #expect(try bench.ask(.password(user: "b", password: "q")))
        let start = MonotonicTime.now
        for guess in 0..<8 {
            #expect(try !bench.ask(.password(user: "a", password: "wrong\(guess)")))
        }
        #expect(MonotonicTime.now - start > .milliseconds(100))
        #expect(try bench.ask(.password(user: "a", password: "p")))
        // From elsewhere, and for who is known, nothing is slow.
        #expect(
            bench.store.judge(
                .password(user: "b", password: "q"), RightsNeed([.query]),
                for: Asker(address: "10.0.0.1:2")
            ) { _ in } == .granted)
        #expect(
            bench.store.judge(
                .password(user: "a", password: "x"), RightsNeed([.query]),
                for: Asker(address: "10.0.0.2:2")
            ) { _ in } == .refused)
        #expect(bench.metrics.counter("http", "auth_ok").current >= 3)
        #expect(bench.metrics.counter("http", "auth_fail").current >= 9)
    }

    @Test(arguments: ["a", "who is that"])
    func `Many guesses at once don't hold up another user behind the same address`(
        guessed: String
    ) throws {
        let slow = try PasswordHash.make("p", .yescrypt)
        let users = ["a", "b"].map {
            #"{"username": "\#($0)", "hash": "\#(slow)", "perms": ["query"]}"#
        }
        let bench = try Bench("[\(users.joined(separator: ","))]")
        for guess in 0...Guesses.free {
            #expect(try !bench.ask(.password(user: guessed, password: "early\(guess)")))
        }
        let verdicts = Mailbox<(user: String, isRight: Bool)>()
        let guesses = 150
        for (user, password) in (0..<guesses).map({ (guessed, "x\($0)") }) + [("b", "p")] {
            let verdict = bench.store.judge(
                .password(user: user, password: password), RightsNeed([.query]),
                for: Asker(address: "10.0.0.1:1")
            ) { verdicts.post((user, $0)) }
            #expect(verdict == nil)
        }
        var seen: [(user: String, isRight: Bool)] = []
        let deadline = MonotonicTime.now + .seconds(120)
        while !seen.contains(where: { $0.user == "b" }), MonotonicTime.now < deadline {
            seen += verdicts.take(until: deadline)
        }
        bench.store.stop()
        // The others are still being looked at, one after the other.
        let place = try #require(seen.firstIndex { $0.user == "b" })
        #expect(seen[place].isRight)
        #expect(place < guesses / 2, "after \(place) guesses")
        for (user, isRight) in seen where user != "b" { #expect(!isRight) }
    }

    @Test func `Who guesses waits behind these guesses, and not who is guessed at beside him`()
        throws
    {
        let slow = try PasswordHash.make("p", .yescrypt)
        let bench = try Bench(
            #"[{"username": "a", "hash": "\#(slow)", "perms": ["query"]}]"#)
        for guess in 0...Guesses.free {
            #expect(try !bench.ask(.password(user: "a", password: "early\(guess)")))
        }
        let verdicts = Mailbox<Bool>()
        let guesses = 150
        for (address, password) in (0..<guesses).map({ ("10.0.0.1:1", "x\($0)") }) + [
            ("10.0.0.1:2", "p")
        ] {
            _ = bench.store.judge(
                .password(user: "a", password: password), RightsNeed([.query]),
                for: Asker(address: address)
            ) { verdicts.post($0) }
        }
        var seen: [Bool] = []
        let deadline = MonotonicTime.now + .seconds(120)
        while !seen.contains(true), MonotonicTime.now < deadline {
            seen += verdicts.take(until: deadline)
        }
        bench.store.stop()
        let place = try #require(seen.firstIndex(of: true))
        #expect(place < guesses / 2, "after \(place) guesses")
    }

    /// What a closure holds that waits for a verdict.
    private final class Held: Sendable {}

    private struct Weak {
        weak var held: Held?
    }

    @Test func `Who has gone is not kept while somebody else waits for the same verdict`() throws {
        let slow = try PasswordHash.make("p", .yescrypt)
        let bench = try Bench(
            #"[{"username": "a", "hash": "\#(slow)", "perms": ["query"]}]"#)
        defer { bench.store.stop() }
        func ask(_ password: String, for asker: Asker, holding held: Held) {
            let verdict = bench.store.judge(
                .password(user: "a", password: password), RightsNeed([.query]), for: asker
            ) { _ in withExtendedLifetime(held) {} }
            #expect(verdict == nil)
        }
        let stays = Asker(address: "10.0.0.1:1")
        // These are looked at before, one after the other.
        for guess in 0..<20 { ask("x\(guess)", for: stays, holding: Held()) }
        ask("last", for: stays, holding: Held())
        var gone: [Weak] = []
        for _ in 0..<1000 {
            let (asker, held) = (Asker(address: "10.0.0.1:1"), Held())
            ask("last", for: asker, holding: held)
            asker.leave()
            gone.append(Weak(held: held))
        }
        #expect(gone.count { $0.held != nil } < 20)
    }

    @Test func `Credentials of who has gone make room for others`() throws {
        let slow = try PasswordHash.make("p", .yescrypt)
        let text = #"[{"username": "a", "hash": "\#(slow)", "perms": ["query"]}]"#
        let judge = try CredentialJudge(
            CredentialTable(parsing: Array(text.utf8)), metrics: MetricRegistry(),
            logger: Logger(module: "test", threshold: nil), mostJobs: 20)
        defer { judge.stop() }
        func ask(_ password: String, for asker: Asker) -> RightsVerdict? {
            judge.judge(
                .password(user: "a", password: password), RightsNeed([.query]), for: asker
            ) { _ in }
        }
        // The first is looked at meanwhile. One address alone may not fill all places.
        for guess in 0..<20 {
            let asker = Asker(address: "10.0.1.\(guess):1")
            #expect(ask("x\(guess)", for: asker) == nil)
            if guess > 0 { asker.leave() }
        }
        #expect(ask("p", for: Asker(address: "10.0.0.3:1")) == nil)
    }

    /// As over a connection for the requests of another node's clients.
    @Test func `However many credentials wait of one address, there are places for others`() throws
    {
        let slow = try PasswordHash.make("p", .yescrypt)
        let text = #"[{"username": "a", "hash": "\#(slow)", "perms": ["query"]}]"#
        let judge = try CredentialJudge(
            CredentialTable(parsing: Array(text.utf8)), metrics: MetricRegistry(),
            logger: Logger(module: "test", threshold: nil), mostJobs: 20)
        defer { judge.stop() }
        let flood = Asker(address: "10.0.0.2:1")
        var said: [RightsVerdict?] = []
        for guess in 0..<100 {
            said.append(
                judge.judge(
                    .password(user: "a", password: "x\(guess)"), RightsNeed([.query]), for: flood
                ) { _ in })
        }
        // What is not looked at is not refused for what it is.
        #expect(said.contains(.noRoom) && !said.contains(.refused))
        let other = judge.judge(
            .password(user: "a", password: "p"), RightsNeed([.query]),
            for: Asker(address: "10.0.0.3:1")
        ) { _ in }
        #expect(other == nil)
    }

    @Test func `An entry that has expired grants nothing, known or not`() throws {
        let bench = try Bench(
            """
            [{"username": "a", "password": "p", "perms": ["all"],
              "expires": "2001-01-01T00:00:00Z"}]
            """)
        #expect(try !bench.ask(.password(user: "a", password: "p")))
        #expect(try !bench.ask(.password(user: "a", password: "p")))
    }

    @Test func `An address is one, whatever its port and form; IPv6 counts by network`() {
        #expect(Guesses.origin("10.0.0.1:5") == Guesses.origin("10.0.0.1"))
        #expect(Guesses.origin("[::ffff:10.0.0.1]:5") == Guesses.origin("10.0.0.1"))
        #expect(Guesses.origin("[2001:db8::1]:5") == Guesses.origin("2001:db8::2"))
        #expect(Guesses.origin("2001:db8::1") != Guesses.origin("2001:db8:0:1::1"))
        #expect(Guesses.origin("10.0.0.1") != Guesses.origin("10.0.0.2"))
    }

    @Test func `However many guess from one address, none waits longer than the longest wait`() {
        var guesses = Guesses()
        let (origin, now) = (Guesses.origin("10.0.0.1"), MonotonicTime(nanoseconds: 1 << 40))
        let lane = Guesses.Lane(origin: origin, name: "a")
        for _ in 0..<100 { guesses.failed(lane, at: now) }
        for _ in 0..<1000 {
            #expect(guesses.turn(of: lane, at: now) - now <= Guesses.longestWait)
        }
    }

    @Test func `Guesses at one name, or at unknown ones, slow no other name of the address`() {
        let (origin, now) = (Guesses.origin("10.0.0.1"), MonotonicTime(nanoseconds: 1 << 40))
        for name in ["a", nil] {
            var guesses = Guesses()
            let guessed = Guesses.Lane(origin: origin, name: name)
            for _ in 0..<10_000 {
                _ = guesses.turn(of: guessed, at: now)
                guesses.failed(guessed, at: now)
            }
            #expect(guesses.turn(of: guessed, at: now) > now)
            #expect(guesses.turn(of: .init(origin: origin, name: "b"), at: now) == now)
        }
    }

    @Test func `Who tries few credentials at many names is slowed by the address`() {
        var guesses = Guesses()
        let (origin, now) = (Guesses.origin("10.0.0.1"), MonotonicTime(nanoseconds: 1 << 40))
        var free = 0
        for name in 0..<1000 {
            let lane = Guesses.Lane(origin: origin, name: "\(name)")
            if guesses.turn(of: lane, at: now) == now { free += 1 }
            guesses.failed(lane, at: now)
        }
        #expect(free <= Guesses.freeOfOrigin + 1)
        let elsewhere = Guesses.Lane(origin: Guesses.origin("10.0.0.2"), name: "1")
        #expect(guesses.turn(of: elsewhere, at: now) == now)
    }
}
