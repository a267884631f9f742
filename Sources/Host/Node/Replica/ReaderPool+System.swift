import StateMachine
import Threads
import Wire

extension ReaderPool {
    /// What the pool asks of the system; tests put something else in its place.
    struct System: Sendable {
        var startThread:
            @Sendable (String, @escaping @Sendable () -> Void) throws(ThreadShortage) -> Void =
                { (name, body) throws(ThreadShortage) in
                    try NamedThread(name, stack: NamedThread.deepStack, body).detach()
                }
        var run:
            @Sendable (Reader, Command, ContinuousClock.Instant?, (any ResultStream)?) ->
                ReadOutcome = { $0.run($1, deadline: $2, stream: $3) }
    }
}
