import NodeLogic
import PeerProtocol
import Raft
import Replication

/// Files of snapshots that come in, as the transport and the node's shell deal with them.
extension SimulatedNode {
    /// - Parameter isForeign: no member's snapshot stands behind the offer.
    func beginReceipt(_ offer: SnapshotOffer, isForeign: Bool = false) -> SnapshotReceiptID {
        lastReceipt += 1
        let id = SnapshotReceiptID(lastReceipt)
        receipts.append(SnapshotReceipt(id: id, offer: offer, isForeign: isForeign))
        post(.snapshot(.offered(id, offer)))
        return id
    }

    func hasReceipt(_ id: SnapshotReceiptID) -> Bool { receipts.contains { $0.id == id } }

    func isForeign(_ id: SnapshotReceiptID) -> Bool {
        receipts.contains { $0.id == id && $0.isForeign }
    }

    /// Whether another snapshot than this one is on its way into the node, or being put in place.
    func takesInAnother(than id: SnapshotReceiptID) -> Bool {
        if machine?.replicated?.isInstalling == true { return true }
        return receipts.contains { $0.id != id && $0.isAccepted && $0.state == nil }
    }

    func decideReceipt(_ id: SnapshotReceiptID, isAccepted: Bool) {
        guard let place = receipts.firstIndex(where: { $0.id == id }) else { return }
        receipts[place].isAccepted = isAccepted
        if !isAccepted, receipts[place].isForeign { receipts.remove(at: place) }
    }

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

    /// All of a snapshot is there that is none.
    func completeFalsely(_ id: SnapshotReceiptID) {
        guard let place = receipts.firstIndex(where: { $0.id == id }), receipts[place].isAccepted
        else { return failReceipt(id, "connection lost") }
        receipts[place].state = ModelState()
        receipts[place].isFalse = true
        post(.snapshot(.received(id)))
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
