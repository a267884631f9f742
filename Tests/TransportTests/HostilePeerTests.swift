import Foundation
import NIOCore
import PeerProtocol
import Raft
import ServerTesting
import TLS
import Testing
import Transport
import Wire

extension TLSKeeper: ConnectionSecurity {}

/// Who can't prove that he belongs to the cluster is not heard, whatever he says.
@Suite(.timeLimit(.minutes(15))) struct HostilePeerTests {
    /// What the node asks for.
    enum Demand: String, CaseIterable { case secret, certificates }

    /// What the stranger shows.
    enum Shown: String, CaseIterable {
        case nothing, anotherSecret, anotherAuthority, noCertificate
    }

    private let own: CertificateAuthority
    private let foreign: CertificateAuthority
    private let folder: String

    init() throws {
        own = try CertificateAuthority()
        foreign = try CertificateAuthority()
        folder =
            FileManager.default.temporaryDirectory
            .appending(path: "hostile-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
    }

    /// The name is known to everybody, for it goes over the wire.
    private func secret(_ digits: String) throws -> TLSKeeper {
        let path = "\(folder)/\(digits)"
        try "name.0123456789abcdef0123456789\(digits)\n"
            .write(toFile: path, atomically: true, encoding: .utf8)
        return try TLSKeeper(
            secretFile: path, protocols: [TransportSecurity.nodeProtocol])
    }

    private func certificates(
        _ authority: CertificateAuthority, shows: Bool = true, believes: Bool = true
    ) throws -> TLSKeeper {
        try TLSKeeper(
            TLSFiles(
                certificate: shows ? authority.server.certificate : nil,
                key: shows ? authority.server.key : nil, authority: authority.certificate),
            TLSPolicy(
                verifiesClients: shows, verifiesServers: believes,
                protocols: [TransportSecurity.nodeProtocol]))
    }

    private func demanded(_ demand: Demand) throws -> TLSKeeper {
        switch demand {
        case .secret: try secret("abcdef")
        case .certificates: try certificates(own)
        }
    }

    private func shown(_ shown: Shown) throws -> TLSKeeper? {
        switch shown {
        case .nothing: nil
        case .anotherSecret: try secret("abcdee")
        case .anotherAuthority: try certificates(foreign, believes: false)
        case .noCertificate: try certificates(own, shows: false, believes: false)
        }
    }

    @Test(arguments: Demand.allCases, Shown.allCases)
    func `Nothing of who proves nothing reaches the node`(demand: Demand, shown: Shown)
        async throws
    {
        let node = try await TestNode.start(
            "a", security: TransportSecurity(nodes: try demanded(demand)))
        let hostile = try await TestNode.start(
            "b", security: TransportSecurity(nodes: try self.shown(shown)))
        hostile.knows(node)
        // As if of a later term, so that who takes it follows.
        hostile.transport.send([
            hostile.message(1 << 40, to: node.id), hostile.vote(1 << 41, to: node.id),
        ])
        for _ in 0..<2 {
            await #expect(throws: TransportError.self) {
                try await hostile.transport.call(.hello, at: node.address, timeout: .seconds(20))
                    .get()
            }
        }
        try await until {
            let inbound = node.transport.statistics.inbound
            return inbound.refusedTLS + inbound.refusedPlain >= 3
        }
        #expect(node.delegate.batches.items.isEmpty)
        #expect(node.delegate.spoken.items.isEmpty)
        #expect(node.delegate.offers.items.isEmpty)
        #expect(node.delegate.forwards.items.isEmpty)
        #expect(node.transport.statistics.inbound.peers == 0)
        #expect(node.transport.statistics.inbound.receivedMessages == 0)
        try await hostile.stop()
        try await node.stop()
        // What can't be removed is the temporary folder's.
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// In the clear, by hand: for each kind of connection there is, and some that there aren't.
    @Test(arguments: Demand.allCases)
    func `What is said in the clear is not read`(demand: Demand) async throws {
        let node = try await TestNode.start(
            "a", security: TransportSecurity(nodes: try demanded(demand)))
        for purpose: UInt8 in 0...6 {
            var message = ByteWriter()
            node.message(5, to: node.id, payload: 1000, from: WireBytes.identity).encode(
                into: &message)
            let (raw, channel) = try await RawConnection.open(to: node.listener.port)
            // It may be closed before all is said.
            try? await channel.say(
                WireBytes.preamble(purpose: purpose) + WireBytes.introduction()
                    + WireBytes.frame(3, message.bytes))
            #expect(try await raw.bytesUntilClosed() == [])
        }
        #expect(node.transport.statistics.inbound.refusedPlain == 7)
        #expect(node.delegate.batches.items.isEmpty && node.delegate.spoken.items.isEmpty)
        try await node.stop()
        // What can't be removed is the temporary folder's.
        try? FileManager.default.removeItem(atPath: folder)
    }
}
