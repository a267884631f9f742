/// What an operator decides about queued writes, and the bounds on them.
package struct WriteQueueSettings: Equatable, Sendable {
    /// Writes that may wait for their batch; those beyond wait for a place.
    package var capacity = 1024
    /// Writes of a batch.
    package var batchSize = 128
    /// A batch goes out so long after its first write came, even if it is not full; zero: only when it
    /// is.
    package var timeout = Duration.milliseconds(50)
    /// Each batch is one transaction.
    package var isTransaction = false
    /// Bytes of the writes that wait, as they came. One that is larger has the queue for itself.
    package var capacityBytes = 64 << 20
    /// Bytes from which on a batch is full: well below the largest entry of the log.
    package var batchBytes = 8 << 20
    /// Before a batch that could not be carried out is tried again.
    package var pause = Duration.seconds(1)
    /// What the node has for a batch. Each time that it was too little it is twice as much, up to
    /// `longestPatience`: a node that is only slow may still carry out all that it was asked for.
    package var patience = Duration.seconds(600)
    /// See `patience`.
    package var longestPatience = Duration.seconds(3600)

    package init() {}
}
