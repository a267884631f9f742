import Testing

@testable import HTTPAPI

/// When clients must keep to a share, and to which: without clients and without a clock.
@Suite struct PressureTests {
    @Test func `Who is alone, or next to alone, starves nobody`() {
        var pressure = Pressure(100, least: 1)
        pressure.refused(holding: 100, others: 0, at: .zero)
        pressure.refused(holding: 50, others: 50, at: .zero)
        #expect(pressure.share == nil)
        // It has more than half of what it could have.
        pressure.refused(holding: 51, others: 51, at: .zero)
        #expect(pressure.share == nil)
    }

    @Test func `While somebody is starved everybody keeps to half, and a while longer`() {
        var pressure = Pressure(100, least: 1)
        pressure.refused(holding: 10, others: 90, at: .zero)
        #expect(pressure.share == 50)
        pressure.passed(to: .milliseconds(4999))
        #expect(pressure.share == 50)
        pressure.passed(to: .seconds(5))
        #expect(pressure.share == nil)
        pressure.refused(holding: 10, others: 90, at: .seconds(6))
        #expect(pressure.share == 50)
    }

    @Test func `A share that is not enough is halved once a second, down to the least`() {
        var pressure = Pressure(100, least: 20)
        for (time, share) in [(0, 50), (500, 50), (1000, 25), (1500, 25), (2500, 25), (7500, 50)] {
            pressure.refused(holding: 0, others: 100, at: .milliseconds(time))
            #expect(pressure.share == share, "after \(time) ms")
        }
    }

    @Test func `Who has more than half of a share makes none smaller`() {
        var pressure = Pressure(100, least: 1)
        pressure.refused(holding: 0, others: 100, at: .zero)
        pressure.refused(holding: 30, others: 70, at: .seconds(2))
        #expect(pressure.share == 50)
        // But it has less than its share, and that it was refused counts.
        pressure.passed(to: .seconds(6))
        #expect(pressure.share == 50)
        pressure.refused(holding: 50, others: 51, at: .seconds(6))
        pressure.passed(to: .seconds(7))
        #expect(pressure.share == nil)
    }

    @Test(arguments: [0, 1])
    func `What can't be shared has no shares`(limit: Int) {
        var pressure = Pressure(limit, least: 1)
        pressure.refused(holding: 0, others: limit, at: .zero)
        #expect(pressure.share == nil)
    }

    @Test func `No share is more than half, whatever the least is`() {
        var pressure = Pressure(8, least: 100)
        pressure.refused(holding: 0, others: 8, at: .zero)
        pressure.refused(holding: 0, others: 8, at: .seconds(2))
        #expect(pressure.share == 4)
    }
}
