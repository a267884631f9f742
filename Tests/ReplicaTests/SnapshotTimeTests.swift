import NIOCore
import NodeLogic
import Raft
import Testing
import Transport

/// What the sender's machine and the connection each allow a snapshot.
@Suite struct SnapshotTimeTests {
    @Test(arguments: [1 << 20, 1 << 30, 100 << 30, .max] as [UInt64])
    func `A machine bears what the connection bears`(byteCount: UInt64) {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("n1:4002"),
            apiURL: "http://n1", dataDirectory: "", version: "test")
        let limits = TransportLimits()
        let borne = limits.snapshotTime(for: byteCount) + limits.installTime(for: byteCount)
        let time = settings.snapshotSendTime + MachineSettings.snapshotTime(for: byteCount)
        #expect(time >= Duration.nanoseconds(borne.nanoseconds))
    }
}
