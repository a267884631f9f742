import Testing
import Time
import Wire

@testable import NodeLogic

/// Which loads in parts nobody goes on with.
@Suite struct LoadWatchTests {
    private var watch = LoadWatch()

    private mutating func isAbandoned(
        _ load: UInt64?, _ parts: UInt32, _ seconds: Int
    ) -> Bool {
        watch.isAbandoned(
            load.map { LoadID(high: 0, low: $0) }, parts: parts, at: .zero + .seconds(seconds))
    }

    @Test mutating func `A load of which no part has come for ten minutes is abandoned`() {
        #expect(!isAbandoned(1, 3, 1000))
        #expect(!isAbandoned(1, 3, 1600))
        #expect(isAbandoned(1, 3, 1601))
        // Until somebody has forgotten it.
        #expect(isAbandoned(1, 3, 1700))
        #expect(!isAbandoned(nil, 0, 1701))
        #expect(!isAbandoned(1, 3, 1702))
    }

    @Test mutating func `Each part, and another load, begins the time anew`() {
        #expect(!isAbandoned(1, 3, 0))
        #expect(!isAbandoned(1, 4, 500))
        #expect(!isAbandoned(1, 4, 1100))
        #expect(!isAbandoned(2, 4, 1101))
        #expect(!isAbandoned(2, 4, 1701))
        #expect(isAbandoned(2, 4, 1702))
    }
}
