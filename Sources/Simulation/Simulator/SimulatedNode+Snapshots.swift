import NodeLogic
import PeerProtocol
import Raft

/// Files of snapshots that come in, as the transport and the node's shell deal with them.
extension SimulatedNode {
    func beginReceipt(_ offer: SnapshotOffer) -> SnapshotReceiptID {
        lastReceipt += 1
        let id = SnapshotReceiptID(lastReceipt)
        receipts.append(SnapshotReceipt(id: id, offer: offer))
        post(.snapshot(.offered(id, offer)))
        return id
    }

    func hasReceipt(_ id: SnapshotReceiptID) -> Bool { receipts.contains { $0.id == id } }

    func forgetReceipt(_ id: SnapshotReceiptID) { receipts.removeAll { $0.id == id } }

    /// - Returns: whether all of it is there.
    func write(_ count: Int, of state: ModelState, to id: SnapshotReceiptID) -> Bool {
        guard let place = receipts.firstIndex(where: { $0.id == id }) else { return false }
        receipts[place].byteCount += count
        guard receipts[place].byteCount >= Int(receipts[place].offer.byteCount) else {
            return false
        }
        receipts[place].state = state
        post(.snapshot(.received(id)))
        return true
    }

    /// What was coming in breaks off; its file goes.
    func failReceipt(_ id: SnapshotReceiptID, _ cause: String) {
        guard let receipt = receipts.first(where: { $0.id == id }), receipt.state == nil else {
            return
        }
        forgetReceipt(id)
        post(.snapshot(.failed(id, cause: cause)))
    }
}
