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

    @Test func `Without a key nothing is known of what is there`() throws {
        let place = try StorageSettings(url: "s3://bucket/path") { _ in nil }.place { _ in nil }
        let fault = #expect(throws: StorageFault.self) {
            try place.list(archive: "", StopFlag())
        }
        #expect(fault?.isUnseen == true)
        #expect(fault?.isTransient == false)
        // Nor of what a piece holds: the file of the keys may be exchanged behind the listing.
        let unread = #expect(throws: StorageFault.self) {
            try place.fetch(fromArchive: "c/b/base", StopFlag()) { _ in }
        }
        #expect(unread?.isUnseen == true)
    }

    @Test(arguments: [true, false])
    func `Where nothing was asked nothing is known`(isStopped: Bool) throws {
        let stop = StopFlag()
        if isStopped { stop.raise() }
        // A line of the file of keys that its writer had not ended.
        let token = isStopped ? "token" : "to\u{1}ken"
        let place = try StorageSettings(url: "s3://bucket/path") { _ in nil }.place {
            $0 == "AWS_SESSION_TOKEN" ? token : "x"
        }
        let listing = #expect(throws: StorageFault.self) { try place.list(archive: "", stop) }
        #expect(listing?.isUnseen == true)
        let piece = #expect(throws: StorageFault.self) {
            try place.fetch(fromArchive: "c/b/base", stop) { _ in }
        }
        #expect(piece?.isUnseen == true)
    }

    @Test func `A listing that does not end is given up`() throws {
        var listing = BucketListing(of: "place")
        let page = Self.names(1000)
        let fault = #expect(throws: StorageFault.self) {
            for _ in 0..<1000 { try listing.add(page) }
        }
        #expect(fault?.description == "place: the archive has too many objects to be listed")
        // No other key shows what is behind it.
        #expect(fault?.isUnseen == false)
        #expect(listing.names.count > 400_000)
    }
}
