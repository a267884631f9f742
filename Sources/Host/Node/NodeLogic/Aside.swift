/// A large part of a value that is kept apart from it: the whole is copied for many calls that only read
/// it, and this part then isn't. It is a value all the same: who changes it has it alone, or gets a copy.
@propertyWrapper
struct Aside<Value: Sendable>: Sendable {
    /// `@unchecked Sendable`: it is changed only while nobody else has it.
    private final class Place: @unchecked Sendable {
        var value: Value

        init(_ value: Value) { self.value = value }
    }

    private var place: Place

    init(wrappedValue: Value) { place = Place(wrappedValue) }

    var wrappedValue: Value {
        get { place.value }
        _modify {
            if !isKnownUniquelyReferenced(&place) { place = Place(place.value) }
            yield &place.value
        }
    }
}
