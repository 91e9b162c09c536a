select count(*) from transactions;
