package scanner

// Searches returns how many texts the expressions are tried on in a blob, and how many
// bytes these have.
func (s *Scanner) Searches(b Blob) (n, bytes int) {
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	w.searches, w.searched = 0, 0
	_, _ = w.scan(nil, b, nil)
	return w.searches, w.searched
}

const RaceEnabled = raceEnabled
