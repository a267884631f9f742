import Testing
import Time

@testable import ObjectStorage

struct UploadScheduleTests {
    private static let cluster = "c"
    private var schedule = UploadSchedule(interval: .seconds(60))

    private mutating func step(
        _ seconds: UInt64, leads term: UInt64? = 1, index: UInt64 = 7
    ) -> UploadSchedule.Step {
        schedule.step(at: Self.at(seconds), leadership: term, cluster: Self.cluster, index: index)
    }

    private static func at(_ seconds: UInt64) -> MonotonicTime {
        MonotonicTime(nanoseconds: seconds * 1_000_000_000)
    }

    private static func marker(_ index: UInt64, of cluster: String? = cluster) -> BackupMarker {
        BackupMarker(index: index, cluster: cluster, digest: "d\(index)")
    }

    @Test mutating func `Who does not lead rests, and looks again within a second`() {
        #expect(step(5, leads: nil) == .rest(until: Self.at(6)))
    }

    @Test mutating func `A new leader reads what is there, and uploads what differs`() {
        #expect(step(5) == .readMarker)
        schedule.markerRead(Self.marker(6))
        #expect(step(5) == .upload)
        schedule.done(Self.marker(7), begunAt: Self.at(5))
        #expect(step(6, index: 9) == .rest(until: Self.at(7)))
        #expect(step(64, index: 9) == .rest(until: Self.at(65)))
        #expect(step(65, index: 9) == .upload)
    }

    @Test mutating func `What has not moved is skipped, once in an interval`() {
        #expect(step(5) == .readMarker)
        schedule.markerRead(Self.marker(7))
        #expect(step(5) == .skip)
        #expect(step(64) == .rest(until: Self.at(65)))
        #expect(step(65) == .skip)
    }

    @Test mutating func `An older copy that came late is replaced, and equal content is not`() {
        #expect(step(5) == .readMarker)
        schedule.markerRead(nil)
        #expect(step(5) == .upload)
        // Nothing is known of what lies there: nothing is concluded.
        schedule.found(.marked(Self.marker(3)))
        #expect(!schedule.holds(digest: "d3"))
        schedule.done(Self.marker(7), begunAt: Self.at(5))
        #expect(step(65) == .skip)
        schedule.found(.marked(BackupMarker(index: 3, cluster: Self.cluster, digest: "d7")))
        schedule.found(.marked(Self.marker(3, of: "other")))
        #expect(step(125) == .skip)
        schedule.found(.marked(Self.marker(3)))
        #expect(!schedule.holds(digest: "d7"))
        #expect(step(185) == .upload)
        schedule.done(Self.marker(7), begunAt: Self.at(185))
        #expect(step(245) == .skip)
    }

    @Test mutating func `A copy that was taken away is put there again, also where nobody writes`()
    {
        #expect(step(5) == .readMarker)
        schedule.markerRead(nil)
        #expect(step(5) == .upload)
        schedule.done(Self.marker(7), begunAt: Self.at(5))
        #expect(step(65) == .skip)
        // What lies there and says nothing may be the same.
        schedule.found(.unmarked)
        #expect(schedule.holds(digest: "d7"))
        #expect(step(125) == .skip)
        schedule.found(.nothing)
        #expect(!schedule.holds(digest: "d7"))
        #expect(!schedule.holds(of: Self.cluster))
        #expect(step(185) == .upload)
        // A moment before it would have been found there.
        schedule.done(Self.marker(7), begunAt: Self.at(185))
        #expect(step(245, index: 8) == .upload)
        schedule.found(.nothing)
        #expect(!schedule.holds(digest: "d7"))
    }

    @Test mutating func `Whose copy lies there the last look says, whatever the first one was`() {
        #expect(step(5) == .readMarker)
        schedule.markerRead(Self.marker(7, of: "other"))
        #expect(schedule.other(than: Self.cluster) == "other")
        schedule.found(.nothing)
        #expect(schedule.other(than: Self.cluster) == nil)
        #expect(step(5, leads: 2) == .readMarker)
        // It could not be read.
        schedule.markerRead(nil)
        schedule.found(.marked(Self.marker(3, of: "other")))
        #expect(schedule.other(than: Self.cluster) == "other")
        #expect(!schedule.holds(digest: "d3"))
        schedule.found(.unmarked)
        #expect(schedule.other(than: Self.cluster) == nil)
        schedule.done(Self.marker(7), begunAt: Self.at(5))
        #expect(schedule.other(than: Self.cluster) == nil)
        #expect(schedule.other(than: "x") == Self.cluster)
    }

    @Test mutating func `The same index of another cluster's, or of rqlite's, is another content`()
    {
        for other in ["other", nil] {
            schedule = UploadSchedule(interval: .seconds(60))
            #expect(step(5) == .readMarker)
            schedule.markerRead(Self.marker(7, of: other))
            #expect(step(5) == .upload)
            #expect(!schedule.holds(of: Self.cluster))
            #expect(schedule.holds(digest: "d7"))
        }
    }

    @Test mutating func `Another leadership reads anew, and does not wait for the old one's turn`()
    {
        #expect(step(5) == .readMarker)
        schedule.markerRead(nil)
        #expect(step(5) == .upload)
        schedule.done(Self.marker(7), begunAt: Self.at(5))
        #expect(step(6, leads: nil) == .rest(until: Self.at(7)))
        #expect(step(7, leads: 3) == .readMarker)
        // A term that passed between two looks is another leadership, too.
        schedule.markerRead(Self.marker(7))
        #expect(step(7, leads: 5) == .readMarker)
    }

    @Test mutating func `Failures are tried again ever more rarely, and a success ends that`() {
        #expect(step(0) == .readMarker)
        schedule.markerRead(nil)
        var now: UInt64 = 0
        for pause: UInt64 in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            #expect(step(now) == .upload)
            schedule.failed(at: Self.at(now), begunAt: Self.at(now))
            let before = Self.at(now + pause)
            let almost = MonotonicTime(nanoseconds: before.nanoseconds - 1)
            guard
                case .rest = schedule.step(
                    at: almost, leadership: 1, cluster: Self.cluster, index: 7)
            else {
                Issue.record("tried after less than \(pause) s")
                return
            }
            now += pause
        }
        #expect(step(now) == .upload)
        schedule.done(Self.marker(7), begunAt: Self.at(now))
        #expect(step(now + 60, index: 8) == .upload)
        #expect(!schedule.hasFailed)
        schedule.failed(at: Self.at(now + 60), begunAt: Self.at(now + 60))
        #expect(schedule.hasFailed)
        #expect(step(now + 61, index: 8) == .upload)
    }

    @Test mutating func `What failed after a long time is not tried again for as long`() {
        for (took, rest) in [(900, 900), (36_000, 3600)] as [(UInt64, UInt64)] {
            let begin = MonotonicTime.zero
            schedule = UploadSchedule(interval: .seconds(60))
            #expect(step(0) == .readMarker)
            schedule.markerRead(nil)
            #expect(step(0) == .upload)
            schedule.failed(at: begin + .seconds(took), begunAt: begin)
            let due = begin + .seconds(took + rest)
            for (time, isDue) in [(due + .milliseconds(-1), false), (due, true)] {
                let next = schedule.step(
                    at: time, leadership: 1, cluster: Self.cluster, index: 7)
                #expect((next == .upload) == isDue, "\(took)")
            }
        }
    }

    @Test func `No copy is made while the storage is away, or where another cluster's may lie`() {
        let away = StorageFault("no route", isTransient: true)
        let refused = StorageFault("HEAD was answered 403")
        for isGuarded in [true, false] {
            #expect(UploadSchedule.isVain(after: away, isGuarded: isGuarded))
            // It may be put there all the same.
            #expect(UploadSchedule.isVain(after: refused, isGuarded: isGuarded) == isGuarded)
        }
    }

    @Test mutating func `An upload that takes longer than the interval is followed by the next`() {
        #expect(step(0) == .readMarker)
        schedule.markerRead(nil)
        #expect(step(0) == .upload)
        schedule.done(Self.marker(7), begunAt: Self.at(0))
        #expect(step(90, index: 8) == .upload)
    }
}
