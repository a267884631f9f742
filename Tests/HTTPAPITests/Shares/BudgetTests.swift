import NIOCore
import Rights
import Synchronization
import Testing

@testable import HTTPAPI

/// Who is one client, and what each may have of a budget.
@Suite struct BudgetTests {
    private let clients = ClientTable()

    private func key(_ address: String) throws -> ClientTable.Key {
        ClientTable.Key(try SocketAddress(ipAddress: address, port: 1))
    }

    private func account(_ address: String) throws -> ClientAccount {
        clients.account(of: try key(address))
    }

    @Test func `A client that is alone may have all`() throws {
        let budget = Budget(4, of: .requests, patience: .seconds(3600))
        let alone = try account("10.0.0.1")
        for _ in 0..<4 { #expect(budget.take(1, for: alone) == nil) }
        #expect(budget.take(1, for: alone) == .ofNode)
        budget.giveBack(1, for: alone)
        #expect(budget.take(1, for: alone) == nil)
        // Also by things of which each is more than half.
        let bytes = Budget(10, of: .bodyBytes, patience: .seconds(3600))
        #expect(bytes.take(6, for: alone) == nil)
        #expect(bytes.take(6, for: alone) == .ofNode)
        #expect(bytes.take(4, for: alone) == nil)
    }

    @Test func `Who has more than a share makes room for who is starved`() throws {
        let budget = Budget(10, of: .requests, patience: .seconds(3600))
        let (many, few) = (try account("10.0.0.1"), try account("10.0.0.2"))
        for _ in 0..<10 { #expect(budget.take(1, for: many) == nil) }
        #expect(budget.take(1, for: few) == .ofNode)
        #expect(budget.take(1, for: many) == .ofClient)
        budget.giveBack(1, for: many)
        #expect(budget.take(1, for: many) == .ofClient)
        #expect(budget.take(1, for: few) == nil)
        // Nobody's share is looked at for what is nobody's.
        budget.giveBack(1, for: many)
        #expect(budget.take(1, for: nil) == nil)
        budget.giveBack(1, for: nil)
        for _ in 0..<4 { budget.giveBack(1, for: many) }
        #expect(budget.take(1, for: many) == nil)
        #expect(budget.take(1, for: many) == .ofClient)
        budget.giveBack(5, for: many)
        budget.giveBack(1, for: few)
        #expect(budget.inUse == 0)
        #expect(many.add(0, .requests) == 0 && few.add(0, .requests) == 0)
    }

    @Test func `When nobody is starved any more each may have all again`() throws {
        let budget = Budget(10, of: .requests, patience: .zero)
        let (many, few) = (try account("10.0.0.1"), try account("10.0.0.2"))
        #expect(budget.take(10, for: many) == nil)
        #expect(budget.take(1, for: few) == .ofNode)
        budget.giveBack(1, for: many)
        #expect(budget.take(1, for: many) == nil)
    }

    @Test func `What is taken of a part counts in the whole, and is given back there`() throws {
        let whole = Budget(10, of: .bodyBytes, patience: .seconds(3600))
        let part = Budget(6, within: whole)
        let (many, few) = (try account("10.0.0.1"), try account("10.0.0.2"))
        #expect(part.take(6, for: many) == nil)
        // That is no want of the node.
        #expect(part.take(1, for: many) == .ofNode)
        #expect(whole.take(4, for: many) == nil)
        #expect(whole.take(1, for: few) == .ofNode)
        part.giveBack(1, for: many)
        #expect(part.take(1, for: many) == .ofClient)
        var share: Share? = Share(of: part, for: few)
        #expect(share?.grow(by: 1) == nil)
        #expect(whole.inUse == 10 && part.inUse == 6)
        share = nil
        part.giveBack(5, for: many)
        whole.giveBack(4, for: many)
        #expect(whole.inUse == 0 && part.inUse == 0)
        for item in BudgetItem.allCases { #expect(many.add(0, item) == 0 && few.add(0, item) == 0) }
    }

    @Test func `An address is one client, whatever its port and form; IPv6 counts by network`()
        throws
    {
        let otherPort = try SocketAddress(ipAddress: "10.0.0.1", port: 2)
        #expect(try key("10.0.0.1") == ClientTable.Key(otherPort))
        #expect(try key("::ffff:10.0.0.1") == key("10.0.0.1"))
        #expect(try key("10.0.0.1") != key("10.0.0.2"))
        #expect(try key("2001:db8::1") == key("2001:db8::2"))
        #expect(try key("2001:db8::1") != key("2001:db8:0:1::1"))
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            #expect(try key(address) == .local, "\(address)")
        }
        let file = try SocketAddress(unixDomainSocketPath: "/tmp/a")
        #expect(ClientTable.Key(file) == .local)
        #expect(ClientTable.Key(nil) == .local)
    }

    @Test func `An account is the same as long as it is held, and then forgotten`() throws {
        let held = try account("10.0.0.1")
        #expect(try account("10.0.0.1") === held)
        #expect(try account("10.0.0.2").number != held.number)
        for number in 0..<5000 {
            _ = clients.account(of: .principal(Array("\(number)".utf8)))
        }
        #expect(clients.count <= 1024)
        #expect(try account("10.0.0.1") === held)
    }

    /// Lets everybody pass, and knows users by their names.
    private final class NamingJudge: RightsJudge {
        private let count = Mutex(0)

        func judge(
            _ credential: Credential, _ need: RightsNeed, for asker: Asker,
            later: @escaping @Sendable (Bool) -> Void
        ) -> RightsVerdict? { .granted }

        func principal(of credential: Credential) -> String? {
            count.withLock { $0 += 1 }
            if case .password(let user, _) = credential { return user }
            return nil
        }

        var asked: Int { count.withLock { $0 } }
    }

    @Test func `A verified user is a client of its own, and asked for once in a row`() throws {
        let judge = NamingJudge()
        let (one, two) = try (
            SocketAddress(ipAddress: "10.0.0.1", port: 1),
            SocketAddress(ipAddress: "10.0.0.2", port: 1)
        )
        let first = ConnectionClient(one, clients, HTTPDoor(judge: judge))
        let second = ConnectionClient(two, clients, HTTPDoor(judge: judge))
        let (a, b) = (
            Credential.password(user: "a", password: "x"),
            Credential.password(user: "b", password: "")
        )
        let account = first.account(showing: a)
        #expect(account !== first.account)
        #expect(first.account(showing: a) === account)
        #expect(judge.asked == 1)
        #expect(second.account(showing: a) === account)
        #expect(first.account(showing: b) !== account)
        #expect(judge.asked == 3)
        // Without a name, and without a credential, the address counts.
        #expect(first.account(showing: .token("t")) === first.account)
        #expect(first.account(showing: .none) === first.account)
        #expect(judge.asked == 4)
        #expect(ConnectionClient(one, clients, HTTPDoor()).account(showing: a) === first.account)
    }
}
