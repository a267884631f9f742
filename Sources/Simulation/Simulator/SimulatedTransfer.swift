import NodeLogic
import PeerProtocol
import Raft

/// One stream of a snapshot, from a run of a node to a run of another.
struct SimulatedTransfer {
    enum Step {
        /// The offer arrives.
        case offer
        /// The receiver did not decide in time.
        case undecided
        case chunk
        /// The receiver's word on the installation arrives.
        case done(problem: String?)
        /// The sender learns that the connection is gone.
        case senderLost(String)
        /// The receiver learns that the connection is gone.
        case receiverLost(String)
    }

    let sender: Int
    let senderRun: Int
    let id: SnapshotSendID
    let offer: SnapshotOffer
    let state: ModelState
    let address: PeerAddress
    let peer: NodeID
    var receiver: Int?
    var receiverRun = 0
    var receipt: SnapshotReceiptID?
    var isAccepted = false
    /// Its sender stands still while what it sent is still on its way.
    var isAmbushed = false
    /// All of it arrived.
    var isComplete = false
}
