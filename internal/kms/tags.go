package kms

import (
	"slices"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
)

// maxTags is how many tags one key may have.
const maxTags = 50

// newTags checks the tags of a request on their own.
func newTags(in []kmsapi.Tag) ([]Tag, error) {
	if len(in) > maxTags {
		return nil, tooManyTags()
	}
	tags := make([]Tag, 0, len(in))
	for _, t := range in {
		if err := checkTagKey(t.TagKey); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(tags, func(o Tag) bool { return o.Key == t.TagKey }) {
			return nil, awsapi.Errorf(kmsapi.CodeTagException, "Duplicate tag keys")
		}
		tags = append(tags, Tag{t.TagKey, t.TagValue})
	}
	return tags, nil
}

func checkTagKey(key string) error {
	if hasPrefixFold(key, "aws:") {
		return awsapi.Errorf(kmsapi.CodeTagException, "Tags beginning with aws: are reserved")
	}
	return nil
}

func tooManyTags() error { return awsapi.Errorf(kmsapi.CodeTagException, "Too many tags") }

func (s *Service) tagResource(c *call.Call, req *kmsapi.TagResourceRequest) (*kmsapi.TagResourceResponse, error) {
	tags, err := newTags(req.Tags)
	if err != nil {
		return nil, err
	}
	return &kmsapi.TagResourceResponse{}, s.change(c, req.KeyId, "kms:TagResource", tagConditions(tags, nil), nil, func(k *Key) error {
		if err := checkNotPending(k); err != nil {
			return err
		}
		// Tags that are there keep their place; new ones follow.
		k.Tags = slices.Clone(k.Tags)
		for _, t := range tags {
			if i := slices.IndexFunc(k.Tags, func(o Tag) bool { return o.Key == t.Key }); i >= 0 {
				k.Tags[i].Value = t.Value
			} else {
				k.Tags = append(k.Tags, t)
			}
		}
		if len(k.Tags) > maxTags {
			return tooManyTags()
		}
		return nil
	})
}

func (s *Service) untagResource(c *call.Call, req *kmsapi.UntagResourceRequest) (*kmsapi.UntagResourceResponse, error) {
	if len(req.TagKeys) > maxTags { // no key has more, and a policy may look at each
		return nil, tooManyTags()
	}
	for _, key := range req.TagKeys {
		if err := checkTagKey(key); err != nil {
			return nil, err
		}
	}
	return &kmsapi.UntagResourceResponse{}, s.change(c, req.KeyId, "kms:UntagResource", tagConditions(nil, req.TagKeys), nil, func(k *Key) error {
		if err := checkNotPending(k); err != nil {
			return err
		}
		k.Tags = slices.DeleteFunc(slices.Clone(k.Tags), func(t Tag) bool { return slices.Contains(req.TagKeys, t.Key) })
		return nil
	})
}

// tagConditions are aws:TagKeys and aws:RequestTag/<key>.
func tagConditions(tags []Tag, keys []string) conditions {
	cond := conditions{values: map[string]string{}}
	for _, t := range tags {
		keys = append(keys, t.Key)
		// Of keys that differ in case alone the first counts, as with aws:ResourceTag.
		name := "aws:requesttag/" + lower(t.Key)
		if _, ok := cond.values[name]; !ok {
			cond.values[name] = t.Value
		}
	}
	cond.lists = map[string][]string{"aws:tagkeys": keys}
	return cond
}

func (s *Service) listResourceTags(c *call.Call, req *kmsapi.ListResourceTagsRequest) (*kmsapi.ListResourceTagsResponse, error) {
	t, err := s.changeable(c, req.KeyId, "kms:ListResourceTags", conditions{})
	if err != nil {
		return nil, err
	}
	// The tags stand in one record: a marker holds the key of the next tag, so
	// that a page goes on at the right one though others came or went.
	prefix := join("tags/", t.Account, "/", t.Region, "/", t.ID, "/")
	p, err := s.page(c, prefix, req.Marker, req.Limit, maxTags)
	if err != nil {
		return nil, err
	}
	tags := t.Tags
	if from := string(p.from[len(prefix):]); from != "" {
		i := slices.IndexFunc(tags, func(t Tag) bool { return t.Key == from })
		if i < 0 {
			return nil, awsapi.Errorf(kmsapi.CodeInvalidMarkerException, "Invalid marker.")
		}
		tags = tags[i:]
	}
	resp := &kmsapi.ListResourceTagsResponse{Tags: []kmsapi.Tag{}}
	for _, t := range tags {
		if len(resp.Tags) == p.limit {
			resp.NextMarker = p.next(join(string(prefix), t.Key))
			break
		}
		resp.Tags = append(resp.Tags, kmsapi.Tag{TagKey: t.Key, TagValue: t.Value})
	}
	resp.Truncated = new(resp.NextMarker != "")
	return resp, nil
}
