extension Duration {
    /// How long it is rested behind failures in a row of what copies a database somewhere: a second, two, four, up to
    /// `longest`; and no less than the last try took, an hour at most, for each copies the whole database.
    /// - Parameters:
    ///   - failures: 1 or more.
    ///   - tried: how long the last try took.
    package static func pause(
        behind failures: Int, lasting tried: Duration = .zero, atMost longest: Duration
    ) -> Duration {
        max(min(.seconds(1) * (1 << min(failures - 1, 12)), longest), min(tried, .seconds(3600)))
    }
}
