import Testing

@testable import ObjectStorage

struct BucketListingTests {
    /// As long as those of the archive are.
    private static func names(_ count: Int) -> [String] {
        [String](repeating: String(repeating: "x", count: 144), count: count)
    }

    @Test func `As many pieces as a base ever has are listed`() throws {
        var listing = BucketListing(of: "place")
        for _ in 0..<50 { try listing.add(Self.names(1000)) }
        #expect(listing.names.count == 50_000)
    }

    @Test func `A listing that does not end is given up`() throws {
        var listing = BucketListing(of: "place")
        let page = Self.names(1000)
        let fault = #expect(throws: StorageFault.self) {
            for _ in 0..<1000 { try listing.add(page) }
        }
        #expect(fault?.description == "place: the archive has too many objects to be listed")
        #expect(listing.names.count > 400_000)
    }
}
