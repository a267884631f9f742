package import Glibc

/// A point of the wall clock, in UTC, as people and rqlite's documents write it.
package struct WallTime: Hashable, Sendable, Comparable {
    /// Since 1970-01-01T00:00:00Z.
    package let seconds: Int64
    /// 0..<1,000,000,000.
    package let nanoseconds: Int32

    /// Since 1970, UTC; `nanoseconds` lie within the second.
    package init(seconds: Int64, nanoseconds: Int32 = 0) {
        precondition((0..<1_000_000_000).contains(nanoseconds), "\(nanoseconds) ns")
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// What people are shown of a leader's clock, which may have stood anywhere: within the calendar.
    /// - Parameter milliseconds: since 1970; before it counts as 1970, beyond the year 9999 as its end.
    package init(clampingMilliseconds milliseconds: Int64) {
        let within = max(0, min(milliseconds, Self.lastSecond * 1000 + 999))
        self.init(seconds: within / 1000, nanoseconds: Int32(within % 1000) * 1_000_000)
    }

    /// What a file system tells of a file. A damaged one, or another machine's, may tell anything, also of the part
    /// of a second: within the calendar, and below a second.
    /// - Parameter time: since 1970.
    package init(ofFile time: timespec) {
        self.init(
            seconds: max(Self.never.seconds, min(Int64(time.tv_sec), Self.lastSecond)),
            nanoseconds: Int32(max(0, min(time.tv_nsec, 999_999_999))))
    }

    /// Of the year 9999, behind which dates have more digits.
    private static let lastSecond: Int64 = 253_402_300_799

    /// Go's zero time, which stands for "never".
    package static let never = WallTime(seconds: -62_135_596_800)

    /// The machine's clock, which may be set: for people, never for deadlines.
    package static func now() -> WallTime {
        var time = timespec()
        // It fails only for an unknown clock or a bad address.
        let result = clock_gettime(CLOCK_REALTIME, &time)
        precondition(result == 0, "clock_gettime: errno \(errno)")
        return WallTime(seconds: Int64(time.tv_sec), nanoseconds: Int32(time.tv_nsec))
    }

    /// Since 1970-01-01T00:00:00Z, in milliseconds, rounded down.
    package var milliseconds: Int64 { seconds * 1000 + Int64(nanoseconds / 1_000_000) }

    package static func < (left: WallTime, right: WallTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// RFC 3339 with up to nine digits of a fraction, as Go's `RFC3339Nano`.
    package var rfc3339: String {
        var fraction = ""
        if nanoseconds != 0 {
            fraction = "." + Self.padded(Int64(nanoseconds), to: 9)
            while fraction.hasSuffix("0") { fraction.removeLast() }
        }
        return "\(date("-"))T\(clock)\(fraction)Z"
    }

    /// Reads `YYYY-MM-DDTHH:MM:SSZ`, from the year 1970 on; nil for anything else, and for days that no
    /// month has.
    package init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        let shape = Array("0000-00-00T00:00:00Z".utf8)
        guard bytes.count == shape.count else { return nil }
        for (byte, expected) in zip(bytes, shape) {
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            guard expected == UInt8(ascii: "0") ? isDigit : byte == expected else { return nil }
        }
        func number(_ range: Range<Int>) -> Int64 {
            bytes[range].reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
        guard year >= 1970, (1...12).contains(month), (1...31).contains(day), hour < 24,
            minute < 60, second < 60
        else { return nil }
        let shiftedYear = month <= 2 ? year - 1 : year
        let monthFromMarch = month <= 2 ? month + 9 : month - 3
        let days =
            shiftedYear * 365 + shiftedYear / 4 - shiftedYear / 100 + shiftedYear / 400
            + (153 * monthFromMarch + 2) / 5 + day - 1 - 719_468
        self.init(seconds: days * Self.secondsPerDay + hour * 3600 + minute * 60 + second)
        guard rfc3339 == text else { return nil }
    }

    /// `YYYY/MM/DD HH:MM:SS`
    var logText: String { "\(date("/")) \(clock)" }

    private static let secondsPerDay: Int64 = 86400

    private var clock: String {
        let second = seconds - days * Self.secondsPerDay
        return "\(Self.padded(second / 3600, to: 2)):\(Self.padded(second / 60 % 60, to: 2)):"
            + Self.padded(second % 60, to: 2)
    }

    /// Days since 1970-01-01, rounded down.
    private var days: Int64 {
        let quotient = seconds / Self.secondsPerDay
        return seconds % Self.secondsPerDay < 0 ? quotient - 1 : quotient
    }

    /// The proleptic Gregorian calendar, counted in eras of 400 years that begin on 1 March, so
    /// that the leap day is the last of a year.
    private func date(_ separator: String) -> String {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return Self.padded(year, to: 4) + separator + Self.padded(month, to: 2) + separator
            + Self.padded(day, to: 2)
    }

    private static func padded(_ value: Int64, to width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
