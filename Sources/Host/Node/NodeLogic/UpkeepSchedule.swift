package import Time
package import Wire

/// When the leader proposes upkeep of the database, as a value: who carries it out asks for the next
/// step, and says when a task has ended.
///
/// The log says when a task was last carried out, so a new leader and a node that was restarted go on in
/// the rhythm of the one before. What was never done is due at once. Whatever came of an attempt, the next
/// one is an interval later.
package struct UpkeepSchedule: Equatable, Sendable {
    package enum Step: Equatable, Sendable {
        /// Nothing until then.
        case rest(until: MonotonicTime)
        /// This is due.
        case propose(UpkeepTask)
    }

    private struct Item: Equatable {
        let task: UpkeepTask
        let interval: Duration
        var last: Int64?
        /// When this node learned of `last`. It counts where the wall clock was set back, or the
        /// log's clock stands in the future: it never goes back.
        var seen = MonotonicTime.zero
        /// The end of this node's last attempt.
        var tried: MonotonicTime?

        func due(at now: MonotonicTime, wall: Int64) -> MonotonicTime {
            var due = now
            if let last {
                let (difference, isBeyond) = wall.subtractingReportingOverflow(last)
                let elapsed = Duration.milliseconds(isBeyond ? 0 : max(0, difference))
                due = min(now + (interval - elapsed), seen + interval)
            }
            return tried.map { max(due, $0 + interval) } ?? due
        }
    }

    /// How soon it is seen that this node leads.
    private static let watch = Duration.seconds(1)

    private var items: [Item]

    /// - Parameters:
    ///   - vacuum: the time between two; nil: never.
    ///   - optimize: the same.
    package init(vacuum: Duration?, optimize: Duration?) {
        items = [(UpkeepTask.vacuum, vacuum), (.optimize, optimize)].compactMap { task, interval in
            interval.map { Item(task: task, interval: $0) }
        }
    }

    /// - Parameters:
    ///   - wall: the wall clock, in milliseconds since 1970.
    ///   - leads: this node leads and is ready.
    ///   - times: what this node has applied.
    package mutating func step(
        at now: MonotonicTime, wall: Int64, leads: Bool, times: UpkeepTimes
    ) -> Step {
        var next = now + Self.watch
        var dueTask: UpkeepTask?
        for place in items.indices {
            let last = times[items[place].task]
            if last != items[place].last || items[place].seen == .zero {
                items[place].last = last
                items[place].seen = now
            }
            let due = items[place].due(at: now, wall: wall)
            if due <= now { dueTask = dueTask ?? items[place].task } else { next = min(next, due) }
        }
        guard leads, let dueTask else { return .rest(until: next) }
        return .propose(dueTask)
    }

    /// The task was carried out, or was not to be, or failed.
    package mutating func ended(_ task: UpkeepTask, at now: MonotonicTime) {
        for place in items.indices where items[place].task == task { items[place].tried = now }
    }
}
