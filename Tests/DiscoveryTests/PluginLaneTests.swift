import Testing
import Threads
import Time

@testable import Discovery

/// Calls in a line, and the thread that keeps it.
@Suite(.timeLimit(.minutes(5))) struct PluginLaneTests {
    private func call() throws -> PluginLane.Pending {
        let context = try CallContext(deadline: .now, kinds: [])
        return PluginLane.Pending(request: .resolve, context: context) { _ in }
    }

    @Test func `Calls are handed back where there is no thread for them`() throws {
        let lane = PluginLane()
        #expect(lane.claimKeeper())
        #expect(lane.submit(try call()))
        #expect(lane.abandonKeeper().count == 1)
        // The next one tries again.
        #expect(lane.claimKeeper())
        #expect(lane.submit(try call()))
        #expect(lane.abandonKeeper().count == 1)
    }

    @Test func `A line that was stopped meanwhile has ended without its thread`() throws {
        let lane = PluginLane()
        #expect(lane.claimKeeper())
        lane.stop()
        #expect(lane.abandonKeeper().isEmpty)
        lane.waitForEnd()
    }
}
