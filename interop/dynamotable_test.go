package interop_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/keywright/keywright/esdk/keyring/awskms"
)

// dynamoTable is awskms.BranchKeyAdminTable with the client of aws-sdk-go-v2, as
// the comment of awskms.BranchKeyTable shows it.
type dynamoTable struct {
	client *dynamodb.Client
	name   string
}

func (t dynamoTable) Item(ctx context.Context, id, sort string) (item awskms.BranchKeyItem, err error) {
	consistent := true
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &t.name,
		ConsistentRead: &consistent,
		Key: map[string]types.AttributeValue{
			"branch-key-id": &types.AttributeValueMemberS{Value: id},
			"type":          &types.AttributeValueMemberS{Value: sort},
		},
	})
	if err != nil {
		return item, err
	}
	item.Strings, item.Numbers, item.Binaries = map[string]string{}, map[string]string{}, map[string][]byte{}
	for name, value := range out.Item {
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			item.Strings[name] = v.Value
		case *types.AttributeValueMemberN:
			item.Numbers[name] = v.Value
		case *types.AttributeValueMemberB:
			item.Binaries[name] = v.Value
		default:
			return item, fmt.Errorf("attribute %q is a %T", name, v)
		}
	}
	return item, nil
}

func (t dynamoTable) Write(ctx context.Context, puts []awskms.BranchKeyPut) error {
	var in dynamodb.TransactWriteItemsInput
	for _, put := range puts {
		condition, names := "attribute_not_exists(#id)", map[string]string{"#id": "branch-key-id"}
		var values map[string]types.AttributeValue
		if put.Replaces != "" {
			condition, names = "#version = :replaces", map[string]string{"#version": "version"}
			values = map[string]types.AttributeValue{":replaces": &types.AttributeValueMemberS{Value: put.Replaces}}
		}
		in.TransactItems = append(in.TransactItems, types.TransactWriteItem{Put: &types.Put{
			TableName:                 &t.name,
			Item:                      attributeValues(put.Item),
			ConditionExpression:       &condition,
			ExpressionAttributeNames:  names,
			ExpressionAttributeValues: values,
		}})
	}
	_, err := t.client.TransactWriteItems(ctx, &in)
	return err
}

func attributeValues(item awskms.BranchKeyItem) map[string]types.AttributeValue {
	values := map[string]types.AttributeValue{}
	for name, v := range item.Strings {
		values[name] = &types.AttributeValueMemberS{Value: v}
	}
	for name, v := range item.Numbers {
		values[name] = &types.AttributeValueMemberN{Value: v}
	}
	for name, v := range item.Binaries {
		values[name] = &types.AttributeValueMemberB{Value: v}
	}
	return values
}
