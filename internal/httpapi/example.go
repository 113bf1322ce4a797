package httpapi

import (
	"github.com/danielgtaylor/huma/v2"
)

// sampleTime is every time in an example.
const sampleTime = "2026-02-24T10:00:00.000Z"

// example is a value of a schema, put together from the examples of its parts;
// nil when the schema has none. In an object stands what is required, and of
// the rest what has an example.
func example(schemas huma.Registry, s *huma.Schema) any {
	switch {
	case s == nil:
		return nil
	case s.Ref != "":
		return example(schemas, schemas.SchemaFromRef(s.Ref))
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "date-time" && !s.Nullable:
		return sampleTime
	}
	switch s.Type {
	case huma.TypeArray:
		if item := example(schemas, s.Items); item != nil {
			return []any{item}
		}
		return []any{}
	case huma.TypeObject:
		return exampleObject(schemas, s)
	case huma.TypeBoolean:
		return false
	case huma.TypeInteger:
		return 1
	}
	return nil
}

func exampleObject(schemas huma.Registry, s *huma.Schema) map[string]any {
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	object := map[string]any{}
	for name, property := range s.Properties {
		if required[name] || illustrated(schemas, property) {
			object[name] = example(schemas, property)
		}
	}
	return object
}

// illustrated reports whether a part that may be left out has an example of
// its own.
func illustrated(schemas huma.Registry, s *huma.Schema) bool {
	switch {
	case s.Ref != "":
		return illustrated(schemas, schemas.SchemaFromRef(s.Ref))
	case s.Type == huma.TypeArray:
		return illustrated(schemas, s.Items)
	case s.Type == huma.TypeObject:
		return len(s.Required) > 0
	}
	return len(s.Examples) > 0
}
