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

    @Test func `A page that does not end is given up before it fills memory`() {
        let page = ListedPage(of: "place")
        let piece = [UInt8](repeating: 0x20, count: 1 << 20)
        let fault = #expect(throws: StorageFault.self) {
            for _ in 0..<100 { try page.add(piece) }
        }
        #expect(fault?.description.contains("a page of the listing") == true)
        #expect(page.bytes.count <= 32 << 20)
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
