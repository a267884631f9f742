/// Turns what columns declared `date`, `datetime` or `timestamp` hold into RFC 3339 text.
///
/// Texts may have the forms that the Go driver of SQLite reads:
///
///     YYYY-MM-DD
///     YYYY-MM-DD[ T]H[H]:MM
///     YYYY-MM-DD[ T]H[H]:MM:SS[(.|,)fraction][±hh:mm]
///
/// each with one optional `Z` at the end. Anything else is not a date to us, and the caller shows
/// it as it is stored: nothing a user wrote is lost.
struct DateText {
    private var year = 0
    private var month = 0
    private var day = 0
    private var hour = 0
    private var minute = 0
    private var second = 0
    private var nanosecond = 0
    /// Minutes east of UTC.
    private var offset = 0

    /// Nil when the text has none of the forms or names no real day or time.
    init?(parsing text: UnsafeRawBufferPointer) {
        var reader = Reader(bytes: text)
        reader.dropTrailing(UInt8(ascii: "Z"))
        guard let year = reader.digits(4), reader.take("-"), let month = reader.digits(2),
            reader.take("-"), let day = reader.digits(2)
        else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
        guard (1...12).contains(month),
            (1...Self.days(inMonth: month, ofYear: year)).contains(day)
        else { return nil }
        if reader.isAtEnd { return }
        guard reader.take(" ") || reader.take("T"), readTime(&reader), reader.isAtEnd else {
            return nil
        }
    }

    private mutating func readTime(_ reader: inout Reader) -> Bool {
        guard let hour = reader.digits(2) ?? reader.digits(1), hour < 24, reader.take(":"),
            let minute = reader.digits(2), minute < 60
        else { return false }
        (self.hour, self.minute) = (hour, minute)
        if reader.isAtEnd { return true }
        guard reader.take(":"), let second = reader.digits(2), second < 60 else { return false }
        self.second = second
        if reader.take(".") || reader.take(",") {
            guard let fraction = reader.fraction() else { return false }
            nanosecond = fraction
        }
        if reader.isAtEnd { return true }
        let isEast = reader.take("+")
        guard isEast || reader.take("-"), let hours = reader.digits(2), hours < 24,
            reader.take(":"), let minutes = reader.digits(2), minutes < 60
        else { return false }
        offset = (hours * 60 + minutes) * (isEast ? 1 : -1)
        return true
    }

    /// Unix time, in UTC: milliseconds when the number is too large to be meant as seconds.
    /// Nil for years that RFC 3339 cannot write.
    init?(unixTime value: Int64) {
        let isMilliseconds = value.magnitude > 1_000_000_000_000
        let perSecond: Int64 = isMilliseconds ? 1_000 : 1
        let (seconds, part) = Self.floorDivide(value, perSecond)
        let (days, secondOfDay) = Self.floorDivide(seconds, 86_400)
        guard Self.writableDays.contains(days) else { return nil }
        nanosecond = Int(part) * (isMilliseconds ? 1_000_000 : 1)
        hour = Int(secondOfDay / 3_600)
        minute = Int(secondOfDay / 60 % 60)
        second = Int(secondOfDay % 60)
        setDay(fromDaysSince1970: Int(days))
    }

    /// 0000-01-01 to 9999-12-31.
    private static let writableDays: ClosedRange<Int64> = -719_528...2_932_896

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is last.
    private mutating func setDay(fromDaysSince1970 days: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    private static func days(inMonth month: Int, ofYear year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// `2021-10-22T19:39:32.016087Z`: at most 35 bytes, all ASCII.
    func write(_ put: (UInt8) -> Void) {
        func number(_ value: Int, width: Int) {
            var divisor = 1
            for _ in 1..<width { divisor *= 10 }
            while divisor > 0 {
                put(UInt8(ascii: "0") + UInt8(value / divisor % 10))
                divisor /= 10
            }
        }
        number(year, width: 4)
        put(UInt8(ascii: "-"))
        number(month, width: 2)
        put(UInt8(ascii: "-"))
        number(day, width: 2)
        put(UInt8(ascii: "T"))
        number(hour, width: 2)
        put(UInt8(ascii: ":"))
        number(minute, width: 2)
        put(UInt8(ascii: ":"))
        number(second, width: 2)
        if nanosecond > 0 {
            var (fraction, width) = (nanosecond, 9)
            while fraction % 10 == 0 { (fraction, width) = (fraction / 10, width - 1) }
            put(UInt8(ascii: "."))
            number(fraction, width: width)
        }
        if offset == 0 {
            put(UInt8(ascii: "Z"))
        } else {
            put(offset > 0 ? UInt8(ascii: "+") : UInt8(ascii: "-"))
            number(abs(offset) / 60, width: 2)
            put(UInt8(ascii: ":"))
            number(abs(offset) % 60, width: 2)
        }
    }

    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        private var offset = 0
        private var end: Int

        init(bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
            end = bytes.count
        }

        var isAtEnd: Bool { offset == end }

        mutating func dropTrailing(_ byte: UInt8) {
            if end > 0, bytes[end - 1] == byte { end -= 1 }
        }

        mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard offset < end, bytes[offset] == UInt8(ascii: scalar) else { return false }
            offset += 1
            return true
        }

        private func digit(at position: Int) -> Int? {
            guard position < end else { return nil }
            let value = Int(bytes[position]) - Int(UInt8(ascii: "0"))
            return (0...9).contains(value) ? value : nil
        }

        /// Exactly `count` digits, or nothing is taken.
        mutating func digits(_ count: Int) -> Int? {
            var value = 0
            for position in offset..<offset + count {
                guard let digit = digit(at: position) else { return nil }
                value = value * 10 + digit
            }
            offset += count
            return value
        }

        /// One digit or more; the first nine count, as nanoseconds.
        mutating func fraction() -> Int? {
            var (value, count) = (0, 0)
            while let digit = digit(at: offset) {
                if count < 9 { value = value * 10 + digit }
                count += 1
                offset += 1
            }
            guard count > 0 else { return nil }
            for _ in min(count, 9)..<9 { value *= 10 }
            return value
        }
    }
}
