import Testing
import Threads
import Time

@testable import Discovery

/// A thread whose jobs nobody waits for without a limit.
@Suite struct PluginThreadTests {
    private let longAgo = MonotonicTime(nanoseconds: 1)

    @Test func `Who stood still gives the job some time more`() throws {
        let thread = try PluginThread(name: "tested")
        let go = Mailbox<Void>()
        // The job can't be over when the limit is asked for first, and is soon after.
        let isBack = thread.run(
            until: {
                go.post(())
                return longAgo
            }, { _ = go.take(atMost: 1) })
        #expect(isBack)
        thread.end()
    }

    @Test func `A job that does not come back is given up, whoever stood still`() throws {
        let thread = try PluginThread(name: "tested")
        let never = Mailbox<Void>()
        let isBack = thread.run(until: { longAgo }, { _ = never.take(atMost: 1) })
        #expect(!isBack)
        thread.end()
        never.post(())
    }
}
