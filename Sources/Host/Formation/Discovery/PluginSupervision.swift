import Threads
import Time
/// Which instance of a plugin is at work, how many were lost, and when and where the next may be
/// made.
///
/// An instance is *lost* when a call on it does not come back, or when its process ends. After a loss
/// there is a pause, twice as long each time, until an instance has worked for as long as the longest
/// pause. A loss in this process leaves a thread and memory behind: after `strikes` of them further
/// instances go to processes of their own, or, where that can't be, the mode is off.
struct PluginSupervision: Sendable {
    private(set) var source: PluginSource
    /// What instances are given in place of the first configuration; nil: that one.
    private(set) var config: [UInt8]?
    /// Instances that others took the place of, on which calls may still run, by their number.
    private var retired: [Int: any PluginSession] = [:]
    private(set) var session: (any PluginSession)?
    /// Counts lost instances; a call belongs to the instance of its number.
    private(set) var epoch = 0
    /// Calls that never came back, and hold a thread of this process for ever.
    private(set) var strikes = 0
    /// Whether the plugin may be asked to describe itself: not once it was lost in that.
    private(set) var isDescribable = true
    /// What the instance at hand was told last of the node; nil when nothing yet.
    private(set) var told: PluginNode?
    /// Whether the instance at hand wants to be told of the node, as far as is known.
    private(set) var listens = true
    /// The plugin was called with what the node is, and may have told others, whatever it said.
    private(set) var mayHaveHeard = false
    /// Since an instance last worked for long.
    private var lossesInARow = 0
    private var pause: (end: MonotonicTime, cause: PluginError)?
    private var madeAt: MonotonicTime?
    private let timing: PluginInstance.Timing

    init(_ source: PluginSource, timing: PluginInstance.Timing) {
        self.source = source
        self.timing = timing
    }

    var isOff: Bool {
        if case .isolated = source { false } else { strikes >= DiscoveryLimits.strikes }
    }

    /// Why nothing can be asked now; nil if it can.
    func refusal(at now: MonotonicTime) -> PluginError? {
        if isOff {
            return PluginError(
                .off,
                "discovery mode \(source.location.mode.name) is off until restart: \(strikes) calls "
                    + "of plugin \(source.label) never came back")
        }
        guard let pause, session == nil, now < pause.end else { return nil }
        return PluginError(
            .unavailable,
            "plugin \(source.label) starts again after a pause; before that: \(pause.cause)")
    }

    /// The instance of this number, also when another took its place and calls on it are still to end.
    func session(of epoch: Int) -> (any PluginSession)? {
        self.epoch == epoch ? session : retired[epoch]
    }

    /// False when the instance is not wanted any more: the call that made it was given up, or there is
    /// another.
    mutating func adopt(_ new: any PluginSession, epoch: Int, at now: MonotonicTime) -> Bool {
        guard self.epoch == epoch, session == nil else { return false }
        session = new
        madeAt = now
        return true
    }

    /// Notes the loss of the instance of `epoch`; false if it was noted before, for two calls may run
    /// on one instance.
    mutating func lose(
        epoch: Int, in request: PluginRequest, isStrike: Bool, cause: PluginError,
        at now: MonotonicTime
    ) -> Bool {
        guard self.epoch == epoch else { return false }
        if case .describe = request { isDescribable = false }
        if let madeAt, madeAt + timing.lastBackoff <= now { lossesInARow = 0 }
        let factor = 1 << min(lossesInARow, 16)
        pause = (now + min(timing.firstBackoff * factor, timing.lastBackoff), cause)
        session = nil
        madeAt = nil
        told = nil
        listens = true
        self.epoch += 1
        lossesInARow += 1
        if isStrike { strikes += 1 }
        if strikes >= DiscoveryLimits.strikes, case .loaded(let plugin, let refuge?) = source {
            source = .isolated(plugin.location, refuge)
        }
        return true
    }

    /// The plugin is about to hear what the node is.
    mutating func beginTelling() { mayHaveHeard = true }

    /// Notes what the instance of `epoch` was told; nil: it does not listen.
    mutating func tell(_ node: PluginNode?, epoch: Int) {
        guard self.epoch == epoch else { return }
        if let node {
            told = node
        } else {
            listens = false
            mayHaveHeard = false
        }
    }

    /// Puts another instance in the place of the one at hand, which is not to be asked again.
    /// - Returns: the number of the one at hand.
    mutating func replace(
        by new: any PluginSession, from source: PluginSource, config: [UInt8],
        at now: MonotonicTime
    ) -> Int {
        if let session { retired[epoch] = session }
        defer { epoch += 1 }
        self.source = source
        self.config = config
        session = new
        madeAt = now
        pause = nil
        lossesInARow = 0
        isDescribable = true
        told = nil
        listens = true
        return epoch
    }

    /// The instance that once had this number, if it was replaced and not given up since.
    mutating func takeRetired(_ epoch: Int) -> (any PluginSession)? {
        retired.removeValue(forKey: epoch)
    }

    mutating func release() -> (any PluginSession)? {
        defer { session = nil }
        return session
    }
}
